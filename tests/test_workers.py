"""Several workers, seen as one: their metrics add up, whoever is asked, and one that dies is
replaced."""

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer, settings_of
from config import VERSION
from tests.http.samples import post
from tests.http.service import RunningService, running
from tests.http.wire import one_answer, request
from tests.workers_world import Samples, alone, connect, get, scrape, total, until, workers

COUNT = "content_request_seconds_count"
ROW = "/content/{id}"
WORKERS = 3
CONNECTIONS, REQUESTS = 10, 40  # of each worker, on each connection


@pytest.fixture
def service(redis_server: RedisServer, tmp_path: Path) -> Iterator[RunningService]:
    redis = settings_of(redis=redis_server)
    patient = {"REDIS_DEADLINE_S": "5", "NEAR_TTL_S": "600", "READ_DEADLINE_S": "20"}
    with running({"WORKERS": str(WORKERS), **patient, **redis}, tmp_path) as started:
        yield started


GAUGES = {
    *("content_connections", "content_redis_up", "content_store_reads_limit"),
    *("content_store_reads_min", "content_store_reads_max", "content_store_reads_in_flight"),
    *("content_store_up", "content_build_info"),
    *("content_near_bytes", "content_near_entries"),
}


class Crowd:
    """Clients of every worker, who know what they were answered; and scrapes, which must agree."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        self.plain = request("GET", f"/content/{post(service.client)['id']}")
        self.answered: Counter[str] = Counter()  # by the layer that had it
        self._last: Samples = {}

    def ask_all(self) -> None:
        """Some connections to each worker, all open at once, and requests on each in turn."""
        with ExitStack() as stack:
            connections: list[socket.socket] = []
            for worker in workers(self.service):
                with alone(self.service, worker):
                    for _ in range(CONNECTIONS):
                        connections.append(stack.enter_context(closing(connect(self.service))))
                        self._ask(connections[-1])
            for number in range(1, REQUESTS):
                for connection in connections:
                    self._ask(connection)
                if number % 10 == 0:
                    self.check()
        until(self.check)

    def _ask(self, connection: socket.socket) -> None:
        connection.sendall(self.plain)
        answer = one_answer(connection)
        assert answer.status == 200
        self.answered[answer.headers["cache-status"].rpartition("=")[2]] += 1

    def check(self) -> bool:
        """Scrapes each worker: it has no less than before, and never more than was answered.
        Whether each has what all of them answered, which takes the second of ``PERIOD_S``."""
        is_whole = True
        for worker in workers(self.service):
            with alone(self.service, worker):
                found = scrape(self.service)
            for layer, number in self.answered.items():
                counted = total(found, COUNT, route=ROW, layer=layer)
                assert counted <= number
                is_whole = is_whole and counted == number
            fallen = {key for key in self._last if found.get(key, 0) < self._last[key]}
            assert {name for name, _ in fallen} <= GAUGES  # they go with their worker
            self._last = found
        return is_whole


def kill(service: RunningService) -> None:
    """Kills one of the workers; another one takes its place."""
    victim = workers(service)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in workers(service))


def is_whole(service: RunningService) -> bool:
    """Whether all workers are there and know Redis."""
    found = len(workers(service)), total(scrape(service), "content_redis_up")
    return found == (WORKERS, WORKERS)


def test_every_scrape_has_what_all_workers_counted(service: RunningService) -> None:
    until(lambda: is_whole(service))
    crowd = Crowd(service)
    crowd.ask_all()
    assert crowd.answered["near"] > WORKERS * CONNECTIONS * REQUESTS * 0.9  # by the lane
    until(lambda: total(scrape(service), "content_near_entries") == WORKERS)  # the row, in each
    kill(service)
    assert crowd.check()
    until(lambda: is_whole(service))
    crowd.ask_all()
    found = scrape(service)
    assert total(found, COUNT, route=ROW) == 2 * WORKERS * CONNECTIONS * REQUESTS
    assert total(found, "content_redis_connections_total") == WORKERS + 1
    assert total(found, "content_store_up") == 1  # not a sum: each of them has its store
    assert total(found, "content_build_info", version=VERSION) == 1
    assert total(found, "content_store_seconds_count", sort="reads") > 0
    assert total(found, "content_redis_seconds_count", command="MGET") > 0
    assert "Traceback" not in service.log()


def test_whoever_dies_is_replaced_while_the_port_is_served(service: RunningService) -> None:
    until(lambda: is_whole(service))
    seen = set(workers(service))
    for times in range(1, 4):
        kill(service)
        assert get(service, "/healthz").status_code == 200
        until(lambda: is_whole(service))
        seen |= set(workers(service))
        assert len(seen) == WORKERS + times
    for worker in workers(service):
        with alone(service, worker):
            assert get(service, "/readyz").status_code == 200


def test_every_worker_says_what_a_single_process_says_and_who_it_is(
    service: RunningService,
) -> None:
    until(lambda: is_whole(service))
    lines = service.log().splitlines()
    for said in ("INFO Redis is up: ", "INFO Application startup complete."):
        who = {line.partition("[")[2].partition("]")[0] for line in lines if said in line}
        assert who == set(map(str, workers(service)))
