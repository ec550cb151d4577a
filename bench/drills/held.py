"""All connections of a worker stalled in a body, and then in a head: what do they make it hold?"""

import itertools
import time
from collections import Counter

from bench.drills.hostile import Attack, hostile, told
from bench.drills.world import World, reading, warm
from bench.lab.asking import ask, counted, seconds_until
from bench.lab.targets import Service
from bench.load.loops import offered, paced

LIMIT_BYTES = (512 - 64) * 2**20
"""The limit that ``stack.yml`` sets, less what a full near cache would add."""
SPARE = 50  # connections beside the stalled ones: the client of near hits, and probes
RATE_S = 100
GROWTH_BYTES = 2**18
BODY = (
    b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 65536\r\n\r\n"
) + b" " * 65_535
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"".join(
    b"X-%02d: %b\r\n" % (number, b"y" * 155) for number in range(99)
)
STALLS = {
    "bodies of 3.5 KB, which the budget does not count": BODY[:3_500],
    "bodies of 64 KiB": BODY,
    "heads of 16 KiB and 100 fields": HEAD,
}


def run(world: World) -> None:
    """Judge the memory, the near hits of another client, and the end of the connections."""
    number, hold_s = (1_500, 1.0) if world.is_short else (10_000, 5.0)
    service = world.service(
        EMBEDDED_PATH=str(world.folder / "content.sqlite3"),
        CONNECTIONS_MAX=str(number),
        ARRIVAL_S="120",
    )
    draft = {"title": "held", "genres": ["Held"], "isMovie": True}
    row = reading(ask(service, "/content", "POST", draft).data["id"])
    warm(service, [row])
    for name, sent in STALLS.items():
        counts, stall = Counter[str](), Attack(name, number - SPARE, sent, again=False)
        schedule = paced(itertools.repeat(row), RATE_S)
        with offered(service.host, service.port, schedule, connections=8) as result:
            with hostile(service, counts, [stall]):
                held = _settled_bytes(service, hold_s)
            gone_s = seconds_until(lambda: counted(service, "content_connections") < SPARE)
        tally, most = result.tally(), service.peak_bytes()
        world.judge(
            f"{number:,} connections stalled in {name}",
            f"memory below {LIMIT_BYTES >> 20} MiB; no near hit fails; they end",
            f"{held >> 20} MiB held, {most >> 20} at most; {told(counts)}; near hits: {tally}",
            most < LIMIT_BYTES and tally.is_clean and gone_s is not None,
        )


def _settled_bytes(service: Service, hold_s: float) -> int:
    """Return the memory of the service once it has stopped to grow."""
    before, now = 0, service.resident_bytes()
    while now - before > GROWTH_BYTES:
        time.sleep(hold_s)
        before, now = now, service.resident_bytes()
    return now
