"""Every limit on the wire as a setting, with the lane and without; what ``/metrics`` says of it."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.http.samples import post
from tests.http.service import RunningService, running
from tests.http.wire import BOUND_S, is_refusal, one_answer, request, sample, talk

ARRIVAL_S = 1.0
SOON_S = 6.0  # well below the default
CONNECTIONS = 4
SMALL = {
    "HEAD_MAX_BYTES": "1024",
    "HEADERS_MAX": "10",
    "TARGET_MAX_BYTES": "256",
    "ARRIVAL_S": str(ARRIVAL_S),
    "CONNECTIONS_MAX": str(CONNECTIONS),
    "NEAR_TTL_S": "600",
}
LAST = "Connection: close"
OPEN = "content_connections"


@pytest.fixture(scope="module", params=["1", "0"], ids=["lane", "no lane"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    settings = {**SMALL, "FAST_LANE": request.param}
    with running(settings, tmp_path_factory.mktemp("limits")) as started:
        yield started


@pytest.fixture
def target(service: RunningService) -> str:
    """A row that is near; who asks for it again may be answered by the lane."""
    made = f"/content/{post(service.client)['id']}"
    assert service.client.get(made).status_code == 200
    return made


def refusals(status: int | str) -> str:
    return f'content_wire_refusals_total{{status="{status}"}}'


def ask(target: str, head_bytes: int = 0, headers: int = 2) -> bytes:
    """With so many bytes of names and values, or so many fields."""
    lines = [LAST, *(f"X{number}: y" for number in range(headers - 2))]
    if head_bytes:
        lines.append("X: " + "y" * (head_bytes - len("hostlocalhostconnectioncloseX")))
    return request("GET", target, *lines)


def test_what_is_just_within_the_limits_is_read(service: RunningService, target: str) -> None:
    assert talk(service, ask(target, head_bytes=1024)).statuses == [200]
    assert talk(service, ask(target, headers=10)).statuses == [200]
    assert talk(service, ask("/healthz?" + "x" * 247)).statuses == [200]


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, ask("/healthz", head_bytes=1025)),
        (431, ask("/healthz", head_bytes=2_048)),
        (431, ask("/healthz", headers=11)),
        (414, ask("/healthz?" + "x" * 248)),
        (408, ask("/healthz")[:-2]),
        (408, request("POST", "/content", "Content-Length: 10") + b"{"),
        (400, request("GET", "/healthz", host=None)),
        (501, request("CONNECT", "localhost:80")),
    ],
)
def test_what_is_above_a_limit_is_refused_and_counted(
    service: RunningService, status: int, sent: bytes
) -> None:
    before = sample(service, refusals(status))
    conversation = talk(service, sent, quiet_s=SOON_S)
    assert [is_refusal(answer, status) for answer in conversation.answers] == [True]
    assert conversation.closed
    assert sample(service, refusals(status)) == before + 1


def test_a_head_that_never_ends_is_bounded_by_its_setting(service: RunningService) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
    conversation = talk(service, start, *[b"x" * 600] * 2, quiet_s=0.5)  # before it is late
    assert [is_refusal(answer, 431) for answer in conversation.answers] == [True]


def test_a_connection_that_says_nothing_ends_uncounted(service: RunningService) -> None:
    before = sample(service, refusals(408))
    began = time.monotonic()
    conversation = talk(service, quiet_s=SOON_S)
    assert conversation.closed
    assert conversation.answers == []
    assert time.monotonic() - began > ARRIVAL_S / 2
    assert sample(service, refusals(408)) == before


def test_a_connection_too_many_is_turned_away_unread_and_the_others_are_served(
    service: RunningService, target: str
) -> None:
    before, turned_away = sample(service, refusals(503)), 20
    with ExitStack() as held:
        address = (service.host, service.port)
        others = [
            held.enter_context(socket.create_connection(address, timeout=BOUND_S))
            for _ in range(CONNECTIONS - 1)  # the client of ``sample`` has one
        ]
        for connection in others:
            connection.sendall(request("GET", target))
            assert one_answer(connection).status == 200
        for _ in range(turned_away):
            conversation = talk(service, request("DELETE", target), quiet_s=BOUND_S)
            assert [is_refusal(answer, 503) for answer in conversation.answers] == [True]
            assert conversation.closed
            headers = conversation.answers[0].headers
            assert (headers["retry-after"], headers["connection"]) == ("1", "close")
        for connection in others:
            connection.sendall(request("GET", target))
            assert one_answer(connection).status == 200
        assert sample(service, OPEN) == CONNECTIONS
        assert sample(service, refusals(503)) == before + turned_away
    eventually(service, OPEN, 1)
    assert talk(service, ask(target)).statuses == [200]


def eventually(service: RunningService, name: str, value: float) -> None:
    """Asks again and again, as somebody whom it has to serve meanwhile."""
    deadline = time.monotonic() + SOON_S
    while (found := sample(service, name)) != value:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


@pytest.mark.parametrize("many", [True, False], ids=["many hits", "one large answer"])
def test_who_reads_nothing_is_cut_and_others_are_served(
    service: RunningService, target: str, many: bool
) -> None:
    """The large one is whole in the kernel's buffers when it is cut: there is none larger."""
    before = sample(service, refusals("slow_reader"))
    eventually(service, OPEN, 1)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((service.host, service.port))
        connection.settimeout(0.2)
        with suppress(TimeoutError, ConnectionError):
            connection.sendall(request("GET", target) * 20_000 if many else b"")
            connection.sendall(request("GET", "/openapi.json"))
        eventually(service, refusals("slow_reader"), before + 1)
        assert sample(service, OPEN) == 1
        assert service.client.get(target).status_code == 200
        with suppress(ConnectionError):
            connection.settimeout(BOUND_S)
            while connection.recv(1_000_000):  # what the kernels had, and then the end
                pass
