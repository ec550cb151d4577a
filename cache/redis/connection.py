"""One multiplexed RESP3 connection: replies in the order of the commands, pushes in between.

Invariant: every command that is sent gets exactly one call of its ``on_reply``. The callbacks of
replies and pushes run in the order in which the server wrote them. So a value that is kept while
its reply is parsed is kept before a later invalidation of the value is seen.

redis-py opens the socket (``Address.connect``). ``docs/design.md`` says why it does not read it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

Reply = Any
"""bytes, int, None, list or dict; or an exception: the server's ``ReplyError``, or ``Lost``."""
OnReply = Callable[[Reply], None]
Argument = str | bytes | int

UNSENT_MAX_BYTES = 1_048_576
"""Above it ``send`` fails, because a server that does not read must not fill our memory."""

_NOTHING = object()


class Lost(Exception):
    """Redis cannot be used, for the reason in the text.

    If the exception takes the place of a reply, it is unknown whether the command ran.
    """


class Connection(asyncio.Protocol):
    """Sends commands.

    ``on_push`` gets each push as a list. ``on_lost`` gets the reason once, after every pending
    ``on_reply`` got a ``Lost``. Callbacks run in the parser and must not raise.
    """

    def __init__(self, on_push: Callable[[list[Any]], None], on_lost: Callable[[str], None]):
        self.lost_because: str | None = None
        self.known: set[str] = set()  # the digests of the scripts that have run here
        self.writer: object = None  # kept, because a StreamWriter closes its socket when it ends
        self._on_push, self._on_lost = on_push, on_lost
        self._pending: deque[OnReply] = deque()  # oldest first
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._ended = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._unsent = bytearray()

    def send(
        self, command: tuple[Argument, ...], on_reply: OnReply, *, even_if_full: bool = False
    ) -> bool:
        """Send ``command`` and return True.

        Return False, and never call ``on_reply``, if the connection is lost or too much is unsent.
        """
        transport = self._transport
        if transport is None or self.lost_because is not None:
            return False
        unsent_bytes = transport.get_write_buffer_size() + len(self._unsent)
        if unsent_bytes > UNSENT_MAX_BYTES and not even_if_full:
            return False
        self._pending.append(on_reply)
        if not self._unsent:  # one write for all commands of a turn, to save syscalls
            asyncio.get_running_loop().call_soon(self._flush, transport)
        # hiredis' stub declares a tuple of one element
        self._unsent += hiredis.pack_command(cast(Any, command))
        return True

    def _flush(self, transport: asyncio.Transport) -> None:
        unsent, self._unsent = self._unsent, bytearray()
        if self.lost_because is None:
            transport.write(unsent)

    def ask(
        self, *command: Argument, check: Callable[[Reply], str] = lambda reply: ""
    ) -> asyncio.Future[Reply]:
        """Send a command, even if too much is unsent, and return a future of its reply.

        The reply may be an exception. Raise Lost if the connection is lost. ``check`` gets the
        reply in the parser, and returns why the connection must end, or an empty text.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answered(reply: Reply) -> None:
            if why := check(reply):
                self.abort(why)
            if not future.done():
                future.set_result(reply)

        if not self.send(command, answered, even_if_full=True):
            raise Lost(self.lost_because)
        return future

    async def end(self) -> None:
        """Wait for the end of the connection, and raise it as ``Lost``."""
        await self._ended.wait()
        raise Lost(self.lost_because)

    def abort(self, reason: str) -> None:
        """End the connection now. Pending commands get ``Lost``, and nothing more is parsed."""
        if self.lost_because is not None:
            return
        self.lost_because = reason
        self._ended.set()
        if self._transport is not None:
            self._transport.abort()
        lost = Lost(reason)
        while self._pending:
            self._pending.popleft()(lost)
        self._on_lost(reason)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.abort(str(exc) if exc else "the server closed the connection")

    def data_received(self, data: bytes) -> None:
        gets = self._reader.gets
        self._reader.feed(data)
        while self.lost_because is None:
            try:
                reply = gets()
            except hiredis.ProtocolError as error:
                return self.abort(f"not RESP: {error}")
            if reply is _NOTHING:
                return None
            if type(reply) is hiredis.PushNotification:
                self._on_push(reply)
            elif self._pending:
                self._pending.popleft()(reply)
            else:  # such as "-ERR max number of clients reached", before any command
                return self.abort(f"unasked: {reply!s:.200}")
        return None
