"""Who is believed about the master: a majority of the sentinels, in time, under the right name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from cache.redis import sentinel
from cache.redis.address import Address
from cache.redis.connection import Lost
from cache.redis.sentinel import Sentinels
from tests.cache.redis_world import OK, FakeRedis

A, B = ("10.0.0.1", 6379), ("10.0.0.2", 6380)
UNKNOWN = b"*-1\r\n"


def names(where: tuple[str, int]) -> bytes:
    host, port = where[0].encode(), str(where[1]).encode()
    return b"*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(host), host, len(port), port)


class Council:
    """Sentinels that say what they are told to say."""

    def __init__(self, members: list[FakeRedis]) -> None:
        self.members = members

    def say(self, *answers: bytes) -> None:
        for member, answer in zip(self.members, answers, strict=True):
            member.answers["SENTINEL"] = answer

    def sentinels(
        self, access: Address | None = None, password: str | None = None, count: int = 3
    ) -> Sentinels:
        ports = [int(member.url.rpartition(":")[2]) for member in self.members[:count]]
        hosts = [("127.0.0.1", port) for port in ports]
        return Sentinels(hosts, "mine", access or Address(), password)


@pytest.fixture
async def council() -> AsyncIterator[Council]:
    async with contextlib.AsyncExitStack() as running:
        yield Council([await running.enter_async_context(FakeRedis()) for _ in range(3)])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentinel, "POLL_S", 0.02)
    monkeypatch.setattr(sentinel, "UNCONFIRMED_S", 0.3)


async def test_most_of_them_say_where_it_is(council: Council) -> None:
    for answers in ((names(A), names(A), names(A)), (names(B), names(A), names(A))):
        council.say(*answers)
        assert await council.sentinels().find() == Address(*A)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: list[list[str]]) -> None:
    """The name of the sentinels has these addresses, one look after another; then the last."""
    looks = list(addresses)

    async def found(self: Address) -> list[list[str]]:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    monkeypatch.setattr(Address, "addresses", found)


ISLAND, ALL = [["127.0.0.1"]], [["127.0.0.1", "127.0.0.2", "127.0.0.3"]]


def about(others: int) -> Callable[[list[bytes]], bytes]:
    """What a sentinel says that names A and knows so many others."""
    text = b"%d" % others
    fields = b"*2\r\n$19\r\nnum-other-sentinels\r\n$%d\r\n%s\r\n" % (len(text), text)
    return lambda words: names(A) if words[1].startswith(b"GET") else fields


async def test_a_name_with_several_addresses_is_several_sentinels(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    council.say(names(A), names(A), names(A))
    one = council.sentinels(count=1)
    resolving(monkeypatch, ALL)
    with pytest.raises(Lost, match="of 3 known") as refused:
        await one.find()
    assert "127.0.0.3" in str(refused.value)
    resolving(monkeypatch, ISLAND)
    assert await council.sentinels(count=1).find() == Address(*A)


async def test_who_sees_one_of_three_sentinels_has_no_majority(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    council.say(names(A), names(A), names(A))
    island = council.sentinels(count=1)
    resolving(monkeypatch, ALL, ISLAND)
    for _ in range(2):
        with pytest.raises(Lost, match="of 3 known"):
            await island.find()


async def test_what_a_sentinel_knows_of_others_counts(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ISLAND)
    for others in (0, 2):
        council.members[0].answers["SENTINEL"] = about(others)
        island = council.sentinels(count=1)
        if others:
            with pytest.raises(Lost, match="of 3 known"):
                await island.find()
        else:
            assert await island.find() == Address(*A)


async def test_a_number_that_is_not_seen_again_is_forgotten(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinel, "REMEMBER_S", 0.05)
    council.say(names(A), names(A), names(A))
    resolving(monkeypatch, ALL, ISLAND)
    left = council.sentinels(count=1)
    with pytest.raises(Lost):
        await left.find()
    await asyncio.sleep(0.1)
    assert await left.find() == Address(*A)


async def test_of_two_families_the_one_that_answers_counts(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    council.say(names(A), names(A), names(A))
    resolving(monkeypatch, [["127.0.0.9"], ["127.0.0.1"]])
    assert await council.sentinels(count=1).find() == Address(*A)


async def test_a_name_that_is_not_resolved_any_more_is_asked_where_it_was(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    council.say(names(A), names(A), names(A))
    sentinels = council.sentinels()

    async def fails(self: Address) -> list[list[str]]:
        raise OSError("no name server")

    assert await sentinels.find() == Address(*A)
    monkeypatch.setattr(Address, "addresses", fails)
    assert await sentinels.find() == Address(*A)
    with pytest.raises(Lost, match="no name server"):
        await council.sentinels().find()


async def test_what_gets_into_redis_goes_with_the_address(council: Council) -> None:
    council.say(names(A), names(A), UNKNOWN)
    access = Address(db=3, username="me", password="pw")
    found = await council.sentinels(access).find()
    assert found == Address(*A, db=3, username="me", password="pw")
    assert all("AUTH" not in member.commands for member in council.members)


async def test_their_own_password_is_said_to_them_alone(council: Council) -> None:
    said: list[list[bytes]] = []

    def let_in(words: list[bytes]) -> bytes:
        said.append(words)
        return OK

    for member in council.members:
        member.answers["AUTH"] = let_in
    council.say(names(A), names(A), names(A))
    found = await council.sentinels(Address(password="pw"), "theirs").find()
    assert found.password == "pw"
    assert said == [[b"AUTH", b"theirs"]] * 3


async def test_no_majority_is_no_master_and_each_is_quoted(council: Council) -> None:
    council.say(names(A), names(B), b"-ERR unknown command 'SENTINEL'\r\n")
    with pytest.raises(Lost) as refused:
        await council.sentinels().find()
    for said in ("10.0.0.1:6379", "10.0.0.2:6380", "unknown command"):
        assert said in str(refused.value)


async def test_a_name_that_they_do_not_know_is_said(council: Council) -> None:
    council.say(UNKNOWN, UNKNOWN, UNKNOWN)
    with pytest.raises(Lost, match="knows no master named mine"):
        await council.sentinels().find()


async def test_one_that_is_silent_holds_nobody_up_for_long(council: Council) -> None:
    council.say(names(A), names(A), b"")
    async with asyncio.timeout(2.0):
        assert await council.sentinels().find() == Address(*A)
        council.say(names(A), b"", b"")
        with pytest.raises(Lost, match=r"no answer in 0\.5 s"):
            await council.sentinels().find()


async def test_one_that_is_not_there_is_outvoted(council: Council) -> None:
    council.say(names(A), names(A), names(A))
    all_of_them = council.sentinels()
    council.members[2]._server.close()
    assert await all_of_them.find() == Address(*A)
    council.members[1]._server.close()
    with pytest.raises(Lost, match="Connect"):
        await all_of_them.find()


async def dropped_within(sentinels: Sentinels, seconds: float, then: Callable[[], None]) -> str:
    """Why a master at A is given up after ``then``; empty: it is not."""
    guard = asyncio.create_task(sentinels.guard(Address(*A)))
    await asyncio.sleep(0.1)
    assert not guard.done()
    then()
    await asyncio.wait([guard], timeout=seconds)
    if guard.done():
        return str(guard.exception())
    guard.cancel()
    return ""


@pytest.mark.usefixtures("quick")
async def test_a_master_is_given_up_once_most_of_them_name_another(council: Council) -> None:
    council.say(names(A), names(A), names(A))
    sentinels = council.sentinels()
    minority = await dropped_within(sentinels, 0.5, lambda: council.say(*map(names, (B, A, A))))
    assert minority == ""
    majority = await dropped_within(sentinels, 5.0, lambda: council.say(*map(names, (B, B, A))))
    assert majority == "the sentinels name another master: 10.0.0.2:6380"


@pytest.mark.usefixtures("quick")
async def test_a_master_that_too_few_confirm_is_given_up_after_a_while(council: Council) -> None:
    council.say(names(A), names(A), names(A))
    loop = asyncio.get_running_loop()
    began = loop.time()
    why = await dropped_within(
        council.sentinels(), 5.0, lambda: council.say(names(A), UNKNOWN, UNKNOWN)
    )
    assert why.startswith("no majority of the sentinels names a master")
    assert loop.time() - began > 0.3


async def test_a_master_is_confirmed_since_the_sentinels_were_asked(
    council: Council, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third sentinel is silent, so the answer comes UNCONFIRMED_S after the question."""
    monkeypatch.setattr(sentinel, "POLL_S", 0.02)
    monkeypatch.setattr(sentinel, "ASK_S", 0.5)
    monkeypatch.setattr(sentinel, "UNCONFIRMED_S", 0.5)
    council.say(names(A), names(A), b"")
    sentinels = council.sentinels()
    master = await sentinels.find()
    council.say(UNKNOWN, UNKNOWN, UNKNOWN)
    before = council.members[0].commands.count("SENTINEL")
    with pytest.raises(Lost, match="no majority"):
        await sentinels.guard(master)
    assert council.members[0].commands.count("SENTINEL") - before == 1
