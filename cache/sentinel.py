"""Which Redis is the master now, by the word of most of its sentinels.

Invariant: whoever uses a master has had the word of most sentinels on it within the last 4.5 s
(``UNCONFIRMED_S``, a poll, and an answer that does not come). The first that answers would do for
finding it, but not for staying: to one that is cut off together with an old master, it is the
master still, and rows would be read there that are written elsewhere. So a majority is asked, at
every connect and every second from then on. A failover needs one too, and is not before
``down-after-milliseconds`` after the cut: at 5000, whoever was cut off with the old master has let
go by then. Writes need no such bound: an old master that misses a replica refuses them
(``min-replicas-to-write``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from hiredis import ReplyError

from cache.address import Address
from cache.connection import Connection, Lost, Reply

ASK_S = 0.5
"""What a sentinel has to answer; they are asked at the same time."""
POLL_S, UNCONFIRMED_S = 1.0, 3.0

Where = tuple[str, int]


class NoMaster(Exception):
    """No majority names one; the text says what each sentinel said."""


class Sentinels:
    """``hosts``: each sentinel's host and port. ``master``: its name there. ``access``: how to get
    into it, and whether it and they speak TLS; where it is does not count. ``password``: that of
    the sentinels."""

    def __init__(
        self, hosts: Sequence[Where], master: str, access: Address, password: str | None = None
    ) -> None:
        own = Address(tls=access.tls, ca=access.ca, password=password)
        self._sentinels = [replace(own, host=host, port=port) for host, port in hosts]
        self._master, self._access = master, access
        self._known: dict[Where, Address] = {}

    async def find(self) -> Address:
        """Where most of them say that it is; raises NoMaster."""
        answers = await asyncio.gather(*map(self._ask, self._sentinels))
        votes = Counter(answer for answer in answers if not isinstance(answer, str))
        for where, count in votes.items():
            if 2 * count > len(answers):
                return self._address(where)
        raise NoMaster("no majority of the sentinels names a master: " + self._said(answers))

    async def guard(self, address: Address, drop: Callable[[str], None]) -> None:
        """Asks on, and calls ``drop`` once they name another or too few have named this one."""
        loop = asyncio.get_running_loop()
        confirmed_at = loop.time()
        while True:
            await asyncio.sleep(POLL_S)
            asked_at = loop.time()
            try:
                found = await self.find()
            except NoMaster as error:
                if loop.time() - confirmed_at > UNCONFIRMED_S:
                    return drop(str(error))
                continue
            if found != address:
                return drop(f"the sentinels name another master: {found.host}:{found.port}")
            confirmed_at = asked_at

    def _address(self, where: Where) -> Address:
        """The same for the same place: it holds its TLS context."""
        if where not in self._known:
            self._known[where] = replace(self._access, host=where[0], port=where[1])
        return self._known[where]

    async def _ask(self, sentinel: Address) -> Where | str:
        """Where the master is, or in words why it does not say."""
        connection = Connection(lambda push: None, lambda why: None)
        try:
            async with asyncio.timeout(ASK_S):
                await sentinel.connect(lambda: connection)
                if sentinel.password is not None:
                    await connection.call("AUTH", sentinel.password)
                reply = await connection.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
            return self._where(reply)
        except TimeoutError:
            return f"no answer in {ASK_S} s"
        except (OSError, Lost, ReplyError) as error:
            return str(error) or type(error).__name__
        finally:
            connection.abort("asked")

    def _where(self, reply: Reply) -> Where | str:
        if reply is None:
            return f"knows no master named {self._master}"
        host, port = reply
        return host.decode(), int(port)

    def _said(self, answers: Sequence[Where | str]) -> str:
        return "; ".join(
            f"{sentinel.host}:{sentinel.port}: "
            + (answer if isinstance(answer, str) else f"{answer[0]}:{answer[1]}")
            for sentinel, answer in zip(self._sentinels, answers, strict=True)
        )
