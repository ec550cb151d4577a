"""A client of the consistency check: one connection that is kept alive."""

from __future__ import annotations

import asyncio
from functools import partial

from bench.load.wire import Answer, Asked, Connection, Request

ANSWER_S = 20.0  # no write may take longer than that, whatever happens to it
NO_ANSWER = 0
"""The status of a request whose connection ended before the answer."""


class Client:
    """One kept-alive connection, one request at a time; reconnects when it was lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Connection | None = None
        self._answer: asyncio.Future[Answer]

    async def ask(self, request: Request) -> Answer:
        """Send a request, and return its answer; raises ConnectionRefusedError if nothing listens.

        Raises TimeoutError after ANSWER_S, because no write takes longer.
        """
        loop = asyncio.get_running_loop()
        if self._connection is None:
            connect = partial(Connection, self)
            _, self._connection = await loop.create_connection(connect, "127.0.0.1", self._port)
        self._answer = loop.create_future()
        self._connection.send(Asked(request, 0.0, 0.0))
        async with asyncio.timeout(ANSWER_S):
            return await self._answer

    def idle(self, connection: Connection) -> None:
        """Wait for the next request."""

    def answered(self, connection: Connection, asked: Asked, answer: Answer) -> None:
        """Return an answer from ``ask``."""
        self._answer.set_result(answer)

    def lost(self, connection: Connection, asked: Asked | None, error: str) -> None:
        """Return NO_ANSWER from ``ask``; the next request opens another connection."""
        self._connection = None
        if asked is not None:
            self._answer.set_result(Answer(NO_ANSWER, b"", b""))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.transport.close()
