"""Finds the Redis master by a majority of its sentinels.

Invariant: a majority has named the master in use within the last 4.5 s (UNCONFIRMED_S, a poll, and
an answer that does not come). One sentinel would do to find a master, but not to stay with it:

1. A partition cuts off a master, a sentinel and this process from the other sentinels.
2. The other sentinels, a majority, promote another master ``down-after-milliseconds`` later.
3. The sentinel on this side still names the old master. This process would read old rows there.

So a majority is asked at every connect, and every second from then on. With 5000 ms in step 2, this
process has dropped the old master by then. Writes need no such bound, because an old master without
a replica refuses writes (``min-replicas-to-write``).
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from cache.redis.address import Address
from cache.redis.connection import Lost

ASK_S = 0.5
"""Time to resolve names and to get answers. All sentinels are asked at the same time."""
POLL_S, UNCONFIRMED_S = 1.0, 3.0
REMEMBER_S = 3_600.0
"""How long the largest number of sentinels counts after it was last seen."""

Where = tuple[str, int]


class Vote(NamedTuple):
    """The answer of a sentinel.

    ``said`` is the master's place, or the reason why there is none. ``known`` is the number of
    sentinels that this sentinel knows, itself included.
    """

    said: str
    master: Where | None = None
    known: int = 0


class Sentinels:
    """The sentinels at ``hosts``, which know the master by the name ``master``.

    A host name with several addresses is several sentinels, and is resolved at every look.
    ``access`` has the master's credentials, and TLS for master and sentinels; its host and port do
    not count. ``password`` is the sentinels' own.

    A majority is more than half of the largest number of sentinels known: hosts listed, addresses
    found, or sentinels that any sentinel knows. So a replica that sees one sentinel of three has no
    majority. A number that is not seen again counts for ``REMEMBER_S``. Sentinels never forget one
    another by themselves, so a replaced sentinel keeps its ``myid`` or needs a ``SENTINEL RESET``.
    """

    def __init__(
        self, hosts: Sequence[Where], master: str, access: Address, password: str | None = None
    ) -> None:
        own = Address(tls=access.tls, ca=access.ca, password=password)
        self._sentinels = [replace(own, host=host, port=port) for host, port in hosts]
        self._master, self._access = master, access
        self._resolved: dict[Address, list[list[str]]] = {}
        self._number, self._number_until = 0, 0.0
        self._confirmed_at = 0.0  # when ``find`` asked the last majority that named a master

    async def find(self) -> Address:
        """Return the address that a majority of sentinels names.

        Raise Lost, with the answer of each sentinel.
        """
        asked_at = asyncio.get_running_loop().time()
        deadline = asked_at + ASK_S
        found = await asyncio.gather(*(self._ask_all(each, deadline) for each in self._sentinels))
        votes = {place: vote for each in found for place, vote in each.items()}
        number = self._count(votes.values())
        masters = Counter(vote.master for vote in votes.values() if vote.master)
        for (host, port), count in masters.items():
            if 2 * count > number:
                self._confirmed_at = asked_at
                return replace(self._access, host=host, port=port)
        said = "; ".join(f"{host}:{port}: {vote.said}" for (host, port), vote in votes.items())
        raise Lost(f"no majority of the sentinels names a master, of {number} known: {said}")

    def _count(self, votes: Collection[Vote]) -> int:
        """Return the largest number of sentinels known within ``REMEMBER_S``."""
        number = max(len(self._sentinels), len(votes), *(vote.known for vote in votes))
        now = asyncio.get_running_loop().time()
        if number >= self._number or now > self._number_until:
            self._number, self._number_until = number, now + REMEMBER_S
        return self._number

    async def _ask_all(self, sentinel: Address, deadline: float) -> dict[Where, Vote]:
        """Ask every address of a name.

        Return the votes by place. Of two families (IPv4, IPv6) the first with an answer counts,
        because both may lead to the same sentinels.
        """
        try:
            async with asyncio.timeout_at(deadline):
                self._resolved[sentinel] = await sentinel.addresses()
        except (OSError, TimeoutError) as error:
            if sentinel not in self._resolved:
                why = str(error) or "its name was not resolved in time"
                return {(sentinel.host, sentinel.port): Vote(why)}
        families = self._resolved[sentinel]
        asked = [self._ask(sentinel, each, deadline) for family in families for each in family]
        votes = iter(await asyncio.gather(*asked))
        answers = [{(each, sentinel.port): next(votes) for each in family} for family in families]
        cast = (each for each in answers if any(vote.master for vote in each.values()))
        return next(cast, answers[0])

    async def guard(self, address: Address) -> None:
        """Ask every POLL_S.

        Raise Lost once a majority names another master, or none names this one for UNCONFIRMED_S.
        The ``find`` that returned ``address`` is the first confirmation.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(POLL_S)
            try:
                found = await self.find()
            except Lost:
                if loop.time() - self._confirmed_at > UNCONFIRMED_S:
                    raise
                continue
            if found != address:
                raise Lost(f"the sentinels name another master: {found}")

    async def _ask(self, sentinel: Address, address: str, deadline: float) -> Vote:
        vote = Vote(f"no answer in {ASK_S} s")
        try:
            async with asyncio.timeout_at(deadline):
                opened = await sentinel.open(2, address)
                try:
                    reply = await _asked(opened, "GET-MASTER-ADDR-BY-NAME", self._master)
                    if reply is None:
                        return Vote(f"knows no master named {self._master}")
                    host, port = reply[0].decode(), int(reply[1])
                    vote = Vote(f"{host}:{port}", (host, port))
                    about = await _asked(opened, "MASTER", self._master) or []
                finally:
                    await opened.disconnect(nowait=True)
            others = dict(zip(about[::2], about[1::2], strict=False)).get(b"num-other-sentinels", 0)
            return vote._replace(known=1 + int(others))
        except TimeoutError:
            return vote
        except (Lost, RedisError) as error:
            return vote if vote.master else Vote(str(error))


async def _asked(opened: AbstractConnection, *command: str) -> Any:
    await opened.send_command("SENTINEL", *command)
    return await opened.read_response()
