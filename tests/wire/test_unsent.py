"""Answers that a client does not take: from which size on they count, and that no page suffers."""

import asyncio
import socket
from typing import Any, ClassVar

from starlette.types import Receive, Scope, Send

from config import Config
from tests.http.wire import request
from tests.wire.in_process import BOUND_S, Within, connected, serving, until
from wire.limits import HELD_MAX_BYTES, UNSENT_FREE_BYTES
from wire.strict import StrictProtocol

PAGE_BYTES = 20_000


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"%d" % PAGE_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * PAGE_BYTES})


class Seen(StrictProtocol):
    """The newest is looked at while its client reads nothing."""

    newest: ClassVar[StrictProtocol]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).newest = self


async def test_answers_count_as_soon_as_the_kernel_leaves_more_than_a_little() -> None:
    app, loop = Within(page, Config()), asyncio.get_running_loop()
    async with serving(app, Seen, lifespan="off") as port:
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            silent.setblocking(False)
            await loop.sock_connect(silent, ("127.0.0.1", port))
            asked = 0
            while asked == 0 or Seen.newest.transport.get_write_buffer_size() == 0:
                await loop.sock_sendall(silent, request("GET", "/page"))
                asked += 1
                assert asked < 1_000
                await asyncio.sleep(0.01)
            unsent = Seen.newest.transport.get_write_buffer_size()
            if unsent <= UNSENT_FREE_BYTES:  # the kernel took a part: the next page is above
                assert app.wire.left_bytes == HELD_MAX_BYTES
                await loop.sock_sendall(silent, request("GET", "/page"))
                asked += 1
            await until(lambda: app.wire.left_bytes < HELD_MAX_BYTES - UNSENT_FREE_BYTES)
            assert app.wire.left_bytes > HELD_MAX_BYTES - UNSENT_FREE_BYTES - 2 * PAGE_BYTES
            received = 0
            while received < asked * PAGE_BYTES:
                data = await asyncio.wait_for(loop.sock_recv(silent, 65_536), BOUND_S)
                received += len(data)
            await until(lambda: app.wire.left_bytes == HELD_MAX_BYTES)


async def test_a_client_that_reads_is_not_charged_for_pages() -> None:
    app = Within(page, Config())
    async with serving(app, Seen, lifespan="off") as port, connected(port) as client:
        for _ in range(50):
            client.send(request("GET", "/page"))
            assert len((await client.answer()).body) == PAGE_BYTES
            assert app.wire.left_bytes == HELD_MAX_BYTES
