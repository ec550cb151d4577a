"""Four times what the store can do: clicks are served, hovers give way; and beside it, without
shedding, what that is for. The store is reached over a narrow line, because Cassandra itself bears
more than generators on the same cores can offer."""

from collections.abc import Iterator

from bench.drills.world import World, mixed, reading, zipf
from bench.lab.asking import ids_of
from bench.lab.proxy import Proxy
from bench.lab.targets import Service
from bench.load.loops import ClosedLoop, OpenLoop, paced
from bench.load.result import Result
from bench.load.wire import Request

TIMES = 4
HOVERS = 0.8
CLICKS_BAR = 0.994
DEADLINE_S = 1.0
CLIENTS, CONNECTIONS = 32, 2_000
GIVE_UP_S = 5.0
WARM_S = 40.0
"""Until then a JVM is busy with compiling, on the two cores of all the others; what it can do later
would not be offered, and what is offered would not be its limit."""
STORE_BYTES_S = 400_000  # some 500 rows a second
URGENCY = {"hover": b"Priority: u=5\r\n", "click": b"Priority: u=1\r\n"}
"""RFC 9218: from 4 on it can wait."""
SLIP_S, SLIPS = 0.1, 0.05
"""How late the generator may be, which shares its cores with all the others; that it was counts
against the deadline, too, and is not the service's fault."""


def run(world: World) -> None:
    """Judge an overload with shedding, beside an overload without."""
    seconds, warm_s = (4.0, 2.0) if world.is_short else (15.0, WARM_S)
    proxy = world.running.enter_context(Proxy(world.cassandra.host, world.cassandra.port))
    # no cache: every read is the store's
    shedding = world.service(proxy, NEAR_BYTES="0")
    ids = ids_of(shedding)
    ClosedLoop(shedding.host, shedding.port, _endless(ids, "click"), warm_s, CLIENTS).to_end()
    proxy.narrow(STORE_BYTES_S)
    capacity_s = _capacity(shedding, ids, seconds / 2)
    offers = mixed((HOVERS, _endless(ids, "hover")), (1 - HOVERS, _endless(ids, "click")))

    def offer(service: Service) -> Result:
        paces = paced(offers, TIMES * capacity_s, seconds)
        load = OpenLoop(
            service.host, service.port, paces, connections=CONNECTIONS, give_up_s=GIVE_UP_S
        )
        return load.to_end()

    result = offer(shedding)
    shedding.stop()
    proxy.open()
    plain = world.service(proxy, NEAR_BYTES="0", SHEDDING="0")
    proxy.narrow(STORE_BYTES_S)
    beside = offer(plain)
    what = f"{TIMES} x {capacity_s:,.0f}/s offered, {HOVERS:.0%} hovers"
    share, seen = clicks_of(result, seconds)
    world.judge(
        what,
        f"{CLICKS_BAR:.1%} of clicks are 200 within {DEADLINE_S:g} s",
        seen,
        share >= CLICKS_BAR and not result.tally().wrong,
    )
    slips_s = [line.slip_s for line in result.lines()]
    late = sum(slip_s > SLIP_S for slip_s in slips_s)
    world.judge(
        what,
        f"it is offered: at most {SLIPS:.0%} leave {SLIP_S * 1000:.0f} ms late",
        f"{late:,} of {len(slips_s):,}, by {max(slips_s):.2f} s",
        late <= SLIPS * len(slips_s),
    )
    world.judge(f"{what}, SHEDDING=0", "(for comparison)", clicks_of(beside, seconds)[1], None)


def _capacity(service: Service, ids: list[str], seconds: float) -> float:
    """Right answers a second when no more is asked for than is answered; a warm-up before it."""
    requests = _endless(ids, "click")
    for _ in range(2):
        tally = ClosedLoop(service.host, service.port, requests, seconds, CLIENTS).to_end().tally()
    assert tally.good, tally
    return tally.good / seconds


def _endless(ids: list[str], kind: str) -> Iterator[Request]:
    return zipf([reading(each, kind, URGENCY[kind]) for each in ids], 0.0)


def clicks_of(result: Result, seconds: float) -> tuple[float, str]:
    """Return the share of clicks that were served in time, and all figures for people."""
    clicks, hovers = (result.tally(kind, deadline_s=DEADLINE_S) for kind in ("click", "hover"))
    share = clicks.good / max(clicks.total, 1)
    goodput = (clicks.good + hovers.good) / seconds
    return share, f"{share:.1%}; clicks: {clicks}; hovers: {hovers}; goodput {goodput:,.0f}/s"
