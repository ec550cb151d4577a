"""What a client gets whose request is still under way when the server's patience ends."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from config import Config
from service import create_app
from tests.wire.in_process import connected, serving, until

STALLED = (
    b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99\r\n\r\n{"
)


async def test_a_body_that_stalls_to_the_end_is_answered(tmp_path: Path) -> None:
    app = create_app(Config(embedded_path=str(tmp_path / "content.sqlite3"), drain_s=0))
    async with AsyncExitStack() as running:
        port = await running.enter_async_context(serving(app, timeout_graceful_shutdown=0.3))
        async with connected(port) as client:
            client.send(STALLED)
            seen = app.state.wire.connections
            await until(lambda: seen._value.get() > 0)
            await asyncio.sleep(0.1)  # and its first bytes are there
            ending = asyncio.create_task(running.aclose())
            answer = await client.answer()
            assert await client.rest() == b""
            await ending
    assert answer.status == 503
    assert orjson.loads(answer.body)["status"] == "failed"
    assert answer.headers["retry-after"]
