"""Bytes on a socket: what a client library would never send, and exactly what comes back."""

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tests.http.service import RunningService

QUIET_S = 0.4  # an answer takes a few milliseconds; who is silent for so long waits for us
FIRST_S = 3.0  # but the first answer may take longer on a busy machine
BOUND_S = 15.0


class Answer(NamedTuple):
    """One response; ``head`` as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Conversation(NamedTuple):
    """Every answer that came, and whether the service then closed the connection."""

    answers: list[Answer]
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def talk(
    service: RunningService,
    *pieces: bytes,
    pause_s: float = 0.05,
    quiet_s: float | None = None,
    methods: Sequence[str] = (),
) -> Conversation:
    """Sends the pieces one after the other, then reads until the service closes or is silent.

    ``methods`` are those of the requests, when one is HEAD: its answer has no body.
    """
    received, closed = b"", False
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(pause_s)
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            closed = True  # it had seen enough
        connection.settimeout(quiet_s or FIRST_S)
        try:
            while data := connection.recv(65_536):
                received += data
                connection.settimeout(quiet_s or QUIET_S)
            closed = True
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed = True
    return Conversation(parse(received, methods), closed)


def sent_until_blocked(connection: socket.socket, stream: bytes) -> int:
    """How many bytes the other side takes before it takes nothing for a second."""
    connection.settimeout(1.0)
    sent = 0
    with suppress(TimeoutError):
        while sent < len(stream):
            sent += connection.send(stream[sent : sent + 65_536])
    return sent


def one_answer(connection: socket.socket) -> Answer:
    """The next answer; the connection stays open."""
    received = b""
    while b"\r\n\r\n" not in received or len(received) < _size(received):
        piece = connection.recv(65_536)
        assert piece, received
        received += piece
    (answer,) = parse(received)
    return answer


def _size(received: bytes) -> int:
    head, _, _ = received.partition(b"\r\n\r\n")
    return len(head) + 4 + int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def everything(connection: socket.socket) -> list[Answer]:
    """What comes until the service ends the connection."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return parse(received)


def parse(received: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """Splits a stream into responses; fails at any byte that belongs to none."""
    answers: list[Answer] = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, received
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1", received
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs) or "set-cookie" in headers, f"a header twice: {head!r}"
        number = len([answer for answer in answers if answer.status >= 200])
        no_body = int(status) in (204, 304) or int(status) < 200
        no_body = no_body or list(methods[number : number + 1]) == ["HEAD"]
        length = 0 if no_body else int(headers["content-length"])
        assert len(rest) >= length, f"cut off: {received!r}"
        answers.append(Answer(int(status), headers, rest[:length], head))
        received = rest[length:]
    return answers


def request(
    method: str = "GET",
    target: str = "/healthz",
    *lines: str,
    body: bytes = b"",
    host: str | None = "localhost",
    version: str = "HTTP/1.1",
) -> bytes:
    """A request as bytes; ``Content-Length`` only when there is a body and no line says it."""
    head = [f"{method} {target} {version}"]
    head += [] if host is None else [f"Host: {host}"]
    head += lines
    told = "\n".join(lines).lower()
    if body and "content-length" not in told and "transfer-encoding" not in told:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def sample(service: RunningService, name: str) -> float:
    """What ``/metrics`` says of a series, named with its labels."""
    lines = service.client.get("/metrics").text.splitlines()
    (found,) = [line for line in lines if line.startswith(f"{name} ")]
    return float(found.rsplit(" ", 1)[1])


def is_refusal(answer: Answer, *statuses: int) -> bool:
    """Whether it is the one envelope of failure, with one of these statuses."""
    return (
        answer.status in statuses
        and answer.headers["content-type"] == "application/json"
        and answer.json()["status"] == "failed"
        and isinstance(answer.json()["message"], str)
    )
