"""What an operator does to a site, and what happens to it, under load: a table.

``rows`` runs all of it in order over one deployed site; a line that does not hold stops nothing.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT
from bench.load.wrk import loaded
from tests.deploy import dashboard, images
from tests.deploy.engine import until
from tests.deploy.site import CATALOGUE_ROWS, STACK, TOKEN, Site

UPDATES, REQUESTS = 5, 100_000
LOADED_ROWS, SAMPLE = 1_000, 200
LIST = "/content/genre/Comedies"
ALERTS = {"ServingStale", "StoreAway"}
DRAFT = {"title": "A title", "genres": ["Documentaries"], "isMovie": True}


class Row(NamedTuple):
    """A line of the table."""

    what: str
    must: str
    seen: str
    holds: bool


Drill = Callable[[Site], Iterator[Row]]


def rows(site: Site, drills: Sequence[Drill]) -> Iterator[Row]:
    for drill in drills:
        began_s = time.time()
        try:
            for row in drill(site):
                why = "" if row.holds else f"; the balancer's log: {site.failures(began_s)}"
                yield row._replace(seen=row.seen + why)
        except (ServerError, AssertionError) as error:
            yield Row(drill.__name__, "the drill runs to its end", str(error)[-300:], False)


def ids_of(site: Site, count: int) -> list[str]:
    """Some of the catalogue's; a ring that has just been made may be too busy at first."""
    found: list[str] = []

    def read() -> bool:
        status, body = site.ask("/uuids?limit=10000")
        found.extend(body["data"] if status == 200 else ())
        return bool(found)

    until("the ids are read", read, 120)
    return random.Random(1).sample(found, count)


def serving(site: Site) -> Iterator[Row]:
    taken_s = site.deploy()
    sample = ids_of(site, SAMPLE)
    right = sum(site.ask(f"/content/{each}")[1]["data"]["id"] == each for each in sample)
    yield Row(
        "`docker stack deploy`, all at once, nothing there yet",
        f"{CATALOGUE_ROWS:,} rows through the balancer",
        f"after {taken_s:.0f} s; {right} of {SAMPLE} rows right",
        right == SAMPLE,
    )
    with_token = site.ask("/content", "POST", DRAFT, TOKEN)[0]
    without = site.ask("/content", "POST", DRAFT)[0]
    inside = [site.ask(path)[0] for path in ("/metrics", "/readyz", "//metrics/", "/%6detrics")]
    yield Row(
        "secrets that end in a newline; what is for operators",
        "a write with the token 201, without 401; /metrics, /readyz 404",
        f"{with_token}, {without}; {inside}",
        (with_token, without, set(inside)) == (201, 401, {404}),
    )


def image(site: Site) -> Iterator[Row]:
    container = site.containers("web")[0]
    (found,) = site.engine.json("inspect", "-f", "{{json .}}", container)
    (ours,) = site.engine.json("image", "inspect", "-f", "{{json .}}", site.variables["WEB_IMAGE"])
    (base,) = site.engine.json("image", "inspect", "-f", "{{json .}}", images.base_of(site.engine))
    first = site.engine("exec", container, "cat", "/proc/1/cmdline").split("\0")
    look = "for each in gcc cc pip pip3 make; do command -v $each; done; ls -d tests bench"
    shell = ("exec", container, "sh", "-c", f"{look} 2>/dev/null || true")
    left_over = site.engine(*shell).split()
    user, is_read_only = found["Config"]["User"], found["HostConfig"]["ReadonlyRootfs"]
    sizes = f"{(ours['Size'] - base['Size']) / 1e6:.0f} MB on a base of {base['Size'] / 1e6:.0f} MB"
    yield Row(
        "the service's image",
        "not root, read-only, python is PID 1; no compiler, pip, tests or bench",
        f"{sizes}; user {user}; read-only {is_read_only}; PID 1 {first[0]}; found {left_over}",
        (user, is_read_only, first[0], left_over) == ("65532:65532", True, "python", []),
    )


def reach(site: Site) -> Iterator[Row]:
    (balancer,) = site.containers("balancer")
    known = []
    for name in ("tasks.web", "tasks.redis", "tasks.cassandra", "redis", "cassandra"):
        try:
            site.engine("exec", balancer, "getent", "hosts", name)
            known.append(name)
        except ServerError:
            continue
    published = {
        service.partition("_")[2]
        for service in site.engine("service", "ls", "--format", "{{.Name}}").split()
        if site.engine("service", "inspect", "-f", "{{json .Spec.EndpointSpec.Ports}}", service)
        not in ("null", "[]")
    }
    yield Row(
        "from the edge",
        "the balancer finds web, not Redis or Cassandra; nothing else is published",
        f"finds {', '.join(known)}; published: {', '.join(published)}",
        known == ["tasks.web"] and published == {"balancer"},
    )


def hardened(site: Site) -> Iterator[Row]:
    (redis,) = site.containers("redis")
    anonymous = site.engine("exec", redis, "redis-cli", "ping")
    forbidden = site.redis_cli(redis, "keys", "*", user="content")
    networks = site.engine("network", "ls", "--quiet", "--filter", f"name={STACK}_").split()
    options = [site.engine("network", "inspect", "-f", "{{.Options}}", each) for each in networks]
    plain = [each for each in options if "encrypted" not in each]
    capable = [
        each
        for each in site.engine("ps", "--quiet").split()
        if "CapEff:\t0000000000000000" not in site.engine("exec", each, "cat", "/proc/1/status")
    ]
    yield Row(
        "whoever is inside",
        "Redis answers nobody unknown; no container has capabilities; networks are encrypted",
        f"{anonymous.split()[0]}, {forbidden.split()[0]}; with capabilities {len(capable)}; "
        f"in plain {len(plain)} of {len(options)}",
        "NOAUTH" in anonymous and "NOPERM" in forbidden and not capable and not plain,
    )


def updates(site: Site) -> Iterator[Row]:
    base = images.base_of(site.engine)
    states, began = [], time.monotonic()
    with loaded(site.url, ids_of(site, LOADED_ROWS)) as seen:
        for version in range(2, 2 + UPDATES):
            made = images.make_ours(site.engine, base, str(version))
            states += [site.update(made)]
    each_s = (time.monotonic() - began) / UPDATES
    yield Row(
        f"{UPDATES} rolling updates of three replicas under keep-alive load",
        f"0 failed of {REQUESTS:,} or more",
        f"{seen}; {each_s:.0f} s an update; {', '.join(sorted(set(states)))}",
        not seen.failed and seen.requests >= REQUESTS and set(states) == {"completed"},
    )


def bad_images(site: Site) -> Iterator[Row]:
    ours = f"content:{1 + UPDATES}"
    for name, program, what in (
        ("exits", "raise SystemExit(1)", "exits at once"),
        ("sleeps", "import time; time.sleep(9e9)", "never gets ready"),
    ):
        bad = images.make_bad(site.engine, ours, name, program)
        with loaded(site.url, ids_of(site, LOADED_ROWS)) as seen:
            state = site.update(bad)
        (now,) = {
            site.engine("inspect", "-f", "{{.Config.Image}}", each)
            for each in site.containers("web")
        }
        yield Row(
            f"an update to an image that {what}",
            "rolls back by itself, 0 failed",
            f"{state}, {now} runs; {seen}",
            (state, now, seen.failed) == ("rollback_completed", ours, 0),
        )


def scaling(site: Site) -> Iterator[Row]:
    with loaded(site.url, ids_of(site, LOADED_ROWS)) as seen:
        times = [f"{replicas} within {site.scale(replicas):.0f} s" for replicas in (5, 2, 3)]
    yield Row(
        "3 to 5 to 2 to 3 replicas", "0 failed", f"{', '.join(times)}; {seen}", not seen.failed
    )


def a_replica_killed(site: Site) -> Iterator[Row]:
    with loaded(site.url, ids_of(site, LOADED_ROWS)) as seen:
        site.crash("web")
        until("one is gone", lambda: site.healthy("web") < 3, 10, 0.1)
        back_s = until("three are healthy", lambda: site.healthy("web") == 3, 120)
    yield Row(
        "a replica killed under load",
        "its requests are sent again: 0 failed; replaced",
        f"{seen}; three again after {back_s:.0f} s",
        not seen.failed,
    )


def redis_killed(site: Site) -> Iterator[Row]:
    def writes() -> int:
        return site.ask("/content", "POST", DRAFT, TOKEN)[0]

    with loaded(site.url, ids_of(site, LOADED_ROWS)) as seen:
        site.crash("redis")
        time.sleep(0.5)
        refused = writes()
        back_s = until("writes are taken again", lambda: writes() == 201, 120)
    yield Row(
        "Redis killed",
        "reads go on, 0 failed; writes are 503 until it is back",
        f"{seen}; a write {refused}; taken again after {back_s:.0f} s",
        not seen.failed and refused == 503,
    )


def cassandra_restarted(site: Site) -> Iterator[Row]:
    ids = ids_of(site, 2 * LOADED_ROWS)
    cached, unseen = ids[:LOADED_ROWS], ids[LOADED_ROWS:]
    fresh = iter(unseen)
    for each in cached:  # into Redis, which has been empty since the last drill
        site.ask(f"/content/{each}")
    for _ in range(20):  # until Redis has it: a single fill may be late on a busy machine
        site.ask(LIST)  # no drill writes to this list: an intent would keep it out of Redis
    with loaded(site.url, cached) as seen:
        site.crash("cassandra")
        site.engine("service", "scale", "--detach", f"{STACK}_cassandra=0")
        time.sleep(2)
        refused = site.ask(f"/content/{next(fresh)}")[0]
        fired_s = until("alerts fire", lambda: site.ask(LIST) and site.firing() >= ALERTS, 240)
        site.engine("service", "scale", "--detach", f"{STACK}_cassandra=1")
        back_s = until("all replicas read", lambda: _reads(site, fresh), 240)
    still = until("no alert of it fires", lambda: not site.firing() & ALERTS, 120)
    yield Row(
        "Cassandra killed, back with another address",
        "cached rows are served, 0 failed; other rows: 503 until it is back, no restart",
        f"{seen}; an uncached row {refused}; read again after {back_s:.0f} s",
        not seen.failed and refused == 503,
    )
    yield Row(
        "the same, in Prometheus",
        f"{' and '.join(sorted(ALERTS))} fire while Cassandra is away, and stop",
        f"both fire after {2 + fired_s:.0f} s, and stop {still:.0f} s after all replicas read",
        True,
    )


def _reads(site: Site, fresh: Iterator[str]) -> bool:
    """Whether nine rows that nobody has asked for are read, by whichever replica."""
    return all(site.ask(f"/content/{next(fresh)}")[0] == 200 for _ in range(9))


def metrics(site: Site) -> Iterator[Row]:
    text = (ROOT / "deploy" / "grafana" / "content.json").read_text()
    expressions = [each.encode().decode("unicode_escape") for each in re.findall(EXPRESSION, text)]
    empty = [each for each in expressions if not site.query(each)]
    firing = site.query('ALERTS{alertstate="firing"}')
    DRAWING.write_text(dashboard.draw(site, site.began_s, time.time()))
    yield Row(
        "the dashboard's expressions, asked of Prometheus after all this",
        "each has series, but for alerts that do not fire",
        f"{len(expressions)} asked, without series: {empty or 'none'}; firing: {len(firing)}",
        set(empty) <= {"ALERTS"},
    )


DRAWING = ROOT / "docs" / "dashboard.svg"
EXPRESSION = r'"expr": "((?:[^"\\]|\\.)*)"'

DRILLS: Sequence[Drill] = (
    serving,
    image,
    reach,
    hardened,
    updates,
    bad_images,
    scaling,
    a_replica_killed,
    redis_killed,
    cassandra_restarted,
    metrics,
)
