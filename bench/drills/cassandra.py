"""Cassandra killed and frozen: cached rows are served, all other reads are refused at once, alerts
fire, and reads are back as soon as Cassandra is."""

import itertools
import json
import re
import time
from collections.abc import Iterable, Sequence

from bench.drills.world import Outage, World, judge_state, mixed, reading, said, suffer, warm
from bench.lab.asking import ask, ids_of, seconds_until
from bench.lab.processes import Server
from bench.lab.targets import ROOT, HttpServer, Service, installed
from bench.load.loops import offered, paced
from bench.load.result import Result
from bench.load.wire import Request

CACHED, CACHED_SHARE = 900, 0.88
LIST, LIST_SHARE = Request("/content/genre/Documentaries", kind="cached"), 0.02
"""A list is past its TTL some seconds after the outage has begun, and no row is."""
ALERTS = {"StoreAway", "ServingStale"}
KNOWN_S = 3.0  # after ``/readyz`` says so: from here on no request has to find out by waiting
AT_ONCE_S, SLOW_SHARE = 0.05, 0.01
"""A hundredth of the refusals, or one, may take longer, for what else this machine does."""
BACK_S = 1.2
QUIET_S = 3.0  # for a few scrapes, after which an alert would fire

RULES = ROOT / "deploy" / "alerts.yml"
PERIOD = "1s"


class Prometheus(HttpServer):
    """Prometheus over ``services``, with the shipped alerts; each fires after a second here."""

    def __init__(self, *services: Server) -> None:
        super().__init__("prometheus", "/-/ready")
        self._targets = [f"{each.host}:{each.port}" for each in services]

    def program(self) -> Sequence[str]:
        rules, settings = self.folder / "alerts.yml", self.folder / "prometheus.yml"
        rules.write_text(re.sub(r"for: \w+", f"for: {PERIOD}", RULES.read_text()))
        whole = {
            "global": {"scrape_interval": PERIOD, "evaluation_interval": PERIOD},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "web", "static_configs": [{"targets": self._targets}]}],
        }
        settings.write_text(json.dumps(whole))  # which is YAML
        return [
            installed("prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.host}:{self.port}",
        ]

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = ask(self, "/api/v1/alerts").data["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def run(world: World) -> None:
    """Judge a kill and a freeze of Cassandra."""
    rate_s, away_s = (100, 2.0) if world.is_short else (300, 8.0)
    node, redis = world.cassandra, world.redis()
    service = world.service(node, redis, **world.patience)
    ids = ids_of(service)
    cached = [reading(each, "cached") for each in ids[:CACHED]]
    warm(service, [*cached, LIST])
    requests = mixed(
        (CACHED_SHARE, itertools.cycle(cached)),
        (LIST_SHARE, itertools.repeat(LIST)),
        # each is asked for once, or it would be cached itself
        (1 - CACHED_SHARE - LIST_SHARE, (reading(each, "uncached") for each in ids[CACHED:])),
    )
    prometheus = watching(world, service)

    def away() -> None:
        time.sleep(KNOWN_S + away_s)
        if prometheus:
            judge_alerts(world, prometheus)

    def resume() -> None:
        node.resume()
        seconds_until(node.answers)

    with offered(service.host, service.port, paced(requests, rate_s)) as result:
        time.sleep(away_s)
        outages = [
            suffer(service, what, breaks, mends, away, away_s + _tolerance_s(world))
            for what, breaks, mends in (
                ("Cassandra killed -9, restarted", node.kill, node.start),
                ("Cassandra stopped (SIGSTOP), continued", node.pause, resume),
            )
        ]
    usual = result.tally(until_s=outages[0].since_s)
    world.judge("nothing yet", "no read fails", str(usual), usual.is_clean)
    for outage in outages:
        judge_outage(world, outage, result)


def _tolerance_s(world: World) -> float:
    """Return a tolerance: a machine is busy with the start of Java, and maybe with other tests."""
    return 2.0 if world.is_short else 0.5


def judge_outage(world: World, outage: Outage, result: Result) -> None:
    """Judge the reads of an outage."""
    judge_state(world, outage)
    cached = result.tally("cached", outage.since_s, outage.until_s)
    holds = cached.total > 0 and cached.statuses[200] == cached.total and not cached.wrong
    world.judge(outage.what, "cached reads: all 200", str(cached), holds)
    judge_refusals(world, outage, result)
    due_s = outage.mended_s + BACK_S + _tolerance_s(world)
    back = result.tally("uncached", due_s, outage.until_s)
    lines = result.lines("uncached", outage.mending_s, outage.until_s)
    failed_s = max((line.due_s for line in lines if not line.is_good), default=None)
    last = "none" if failed_s is None else f"{failed_s - outage.mended_s:+.2f} s"
    world.judge(
        outage.what,
        f"reads are back {BACK_S} s after its answer (tolerance {_tolerance_s(world)} s)",
        f"last failure due {last}; after the bar {back}",
        back.is_clean,
    )


def watching(world: World, service: Service) -> Prometheus | None:
    """Return a Prometheus over ``service``, if this machine has one."""
    if not world.has("Cassandra away", "alerts fire", "prometheus"):
        return None
    prometheus = world.running.enter_context(Prometheus(service))
    time.sleep(QUIET_S)
    seen = prometheus.firing() & ALERTS
    world.judge("nothing yet", f"{said_of(ALERTS)} do not fire", said_of(seen), not seen)
    return prometheus


def judge_alerts(world: World, prometheus: Prometheus) -> None:
    """Judge whether Prometheus learns of the outage that lasts."""
    after_s = seconds_until(lambda: prometheus.firing() >= ALERTS)
    seen = f"{said_of(prometheus.firing() & ALERTS)}, {said(after_s)}"
    world.judge("Cassandra away", f"{said_of(ALERTS)} fire", seen, after_s is not None)


def said_of(alerts: Iterable[str]) -> str:
    """Return names in words."""
    return " and ".join(sorted(alerts)) or "none"


def judge_refusals(world: World, outage: Outage, result: Result) -> None:
    """Judge the refusals by the service's own time, which has no queue of the client in it."""
    known_s = outage.since_s + (outage.degraded_s or 0.0) + KNOWN_S
    refused = result.tally("uncached", known_s, outage.mending_s)
    lines = list(result.lines("uncached", known_s, outage.mending_s))
    slow = sum(line.served_s > AT_ONCE_S for line in lines)
    slow_outside = sum(line.latency_s > AT_ONCE_S for line in lines)
    early = result.tally("uncached", outage.since_s, known_s)
    holds = refused.total > 0 and refused.statuses[503] == refused.total and not refused.wrong
    world.judge(
        outage.what,
        f"other reads: 503, Retry-After, within {AT_ONCE_S * 1000:.0f} ms once it is known "
        f"({SLOW_SHARE:.0%}, or one, may be slower)",
        f"{refused}; slower: {slow}, to the client {slow_outside}; before that {early}",
        holds and slow <= max(1, SLOW_SHARE * refused.total),
    )
