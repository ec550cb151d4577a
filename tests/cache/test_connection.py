"""The connection: order, loss, and the bound on what is unsent."""

import asyncio
import contextlib
from typing import Any

import hiredis
import pytest

from cache.redis.connection import UNSENT_MAX_BYTES, Connection, Lost
from tests.cache.redis_world import until


class WireTap(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = 0

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted += 1

    def get_write_buffer_size(self) -> int:
        return 0


class Ends:
    """A connection, its transport, and what it reported in order."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.tap = WireTap()
        self.connection = Connection(self.events.append, lambda why: self.events.append(why))
        self.connection.connection_made(self.tap)

    def send(self, name: str) -> bool:
        return self.connection.send((name,), lambda reply: self.events.append((name, reply)))


@pytest.fixture
async def ends() -> Ends:
    return Ends()


async def test_replies_go_to_commands_in_order_and_pushes_in_between(ends: Ends) -> None:
    ends.send("A")
    ends.send("B")
    ends.connection.data_received(b"+a\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n$1\r\nb\r\n")
    assert ends.events == [("A", b"a"), [b"invalidate", [b"k"]], ("B", b"b")]
    await asyncio.sleep(0)  # what one turn of the loop sends leaves at its end
    assert ends.tap.written == b"*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n"


async def test_replies_survive_being_cut_anywhere(ends: Ends) -> None:
    ends.send("A")
    ends.send("B")
    for byte in b"*2\r\n$3\r\none\r\n_\r\n-ERR no\r\n":
        ends.connection.data_received(bytes([byte]))
    (first, second) = ends.events
    assert first == ("A", [b"one", None])
    assert isinstance(second[1], hiredis.ReplyError)


async def test_a_false_reply_is_a_reply(ends: Ends) -> None:
    ends.send("A")
    ends.connection.data_received(b"#f\r\n")
    assert ends.events == [("A", False)]


async def test_loss_is_told_to_every_pending_command_and_then_once(ends: Ends) -> None:
    ends.send("A")
    ends.send("B")
    ends.connection.connection_lost(OSError("gone"))
    ends.connection.abort("again")
    a, b, why = ends.events
    assert (a[0], b[0], why) == ("A", "B", "gone")
    assert isinstance(a[1], Lost)
    assert not ends.send("C")


async def test_nothing_is_parsed_after_an_abort_from_within_the_parser(ends: Ends) -> None:
    ends.connection.send(("A",), lambda reply: ends.connection.abort("of no use"))
    ends.send("B")
    ends.connection.data_received(b"-LOADING\r\n>1\r\n+push\r\n+b\r\n")
    assert ends.events[0][0] == "B"
    assert isinstance(ends.events[0][1], Lost)
    assert ends.events[1:] == ["of no use"]
    assert ends.tap.aborted == 1


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"-ERR max number of clients reached\r\n", "unasked: ERR max number of clients reached"),
        (b"HTTP/1.1 400 Bad Request\r\n", "not RESP"),
    ],
)
async def test_what_nobody_asked_for_ends_it(ends: Ends, wire: bytes, reason: str) -> None:
    ends.connection.data_received(wire)
    assert len(ends.events) == 1
    assert ends.events[0].startswith(reason)


async def test_an_error_that_was_answered_is_the_reply(ends: Ends) -> None:
    asked = ends.connection.ask("A")
    await asyncio.sleep(0)
    ends.connection.data_received(b"-ERR no\r\n")
    reply = await asked
    assert isinstance(reply, hiredis.ReplyError)
    assert str(reply) == "ERR no"


async def test_asking_on_a_lost_connection_raises(ends: Ends) -> None:
    ends.connection.abort("gone")
    with pytest.raises(Lost, match="gone"):
        ends.connection.ask("A")


async def test_a_cancelled_question_leaves_its_reply_in_its_place(ends: Ends) -> None:
    asked = ends.connection.ask("A")
    await asyncio.sleep(0)
    asked.cancel()
    ends.send("B")
    await asyncio.sleep(0)
    ends.connection.data_received(b"+a\r\n+b\r\n")
    assert ends.events == [("B", b"b")]


async def test_a_peer_that_does_not_read_makes_sending_fail_not_memory_grow() -> None:
    reads, ended = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reads.wait()
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024) as server:
        port = server.sockets[0].getsockname()[1]
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(lambda push: None, lambda why: None), "127.0.0.1", port
        )
        payload = b"x" * 65_536
        sent = 0
        while connection.send(("SET", "key", payload), lambda reply: None):
            sent += 1
            assert sent < 1_000, "nothing stops it"
            if sent % 16 == 0:
                await asyncio.sleep(0.001)
        assert transport.get_write_buffer_size() < UNSENT_MAX_BYTES + 2 * len(payload)
        reads.set()
        await until(lambda: connection.send(("PING",), lambda reply: None))
        connection.abort("done")
        await ended.wait()
