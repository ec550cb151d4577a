"""Single-flight: effects are counted, whoever is cancelled, fails or comes late."""

import asyncio
import gc
import time

import pytest

from cache.singleflight import Flight, SingleFlight
from errors import Unavailable


class Loads:
    """A load that waits to be let go, and counts how often it began and ended."""

    def __init__(self) -> None:
        self.began = self.ended = 0
        self.go = asyncio.Event()
        self.flights: list[Flight] = []

    async def __call__(self, flight: Flight) -> int:
        self.began += 1
        self.flights.append(flight)
        number = self.began
        await self.go.wait()
        self.ended += 1
        return number


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_thousand_waiters_are_one_load() -> None:
    flights, load = SingleFlight[int](), Loads()
    waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(1_000)]
    await turns()
    load.go.set()
    found = await asyncio.gather(*waiters)
    assert load.began == 1
    assert {value for value, _ in found} == {1}
    assert [joined for _, joined in found].count(False) == 1
    assert len(flights) == 0


async def test_thousands_of_callers_are_cancelled_at_a_steady_price() -> None:
    async def price_s(callers: int) -> float:
        flights, load = SingleFlight[int](), Loads()
        waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(callers)]
        await turns()
        gc.collect()
        gc.disable()  # the collector looks at what other tests have left, too
        began = time.process_time()
        for waiter in waiters:  # as when the deadlines of a stampede end together
            waiter.cancel()
        await asyncio.wait(waiters)
        took_s = time.process_time() - began
        gc.enable()
        load.go.set()
        await turns()
        return took_s / callers

    few, many = [[await price_s(callers) for _ in range(3)] for callers in (1_000, 8_000)]
    assert min(many) < 3 * min(few)


async def test_keys_do_not_wait_for_each_other() -> None:
    flights, slow, quick = SingleFlight[int](), Loads(), Loads()
    waiter = asyncio.create_task(flights.do("slow", slow))
    await turns()
    quick.go.set()
    assert await flights.do("quick", quick) == (1, False)
    assert not waiter.done()
    slow.go.set()
    await waiter


@pytest.mark.parametrize("cancelled", [0, 1], ids=["who asked first", "who joined"])
async def test_a_cancelled_waiter_takes_nobody_with_it(cancelled: int) -> None:
    flights, load = SingleFlight[int](), Loads()
    waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(3)]
    await turns()
    waiters.pop(cancelled).cancel()
    await turns()
    load.go.set()
    assert [value for value, _ in await asyncio.gather(*waiters)] == [1, 1]
    assert (load.began, load.ended) == (1, 1)


async def test_the_load_goes_on_when_every_waiter_is_cancelled() -> None:
    flights, load = SingleFlight[int](), Loads()
    waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(3)]
    await turns()
    for waiter in waiters:
        waiter.cancel()
    await turns()
    assert len(flights) == 1
    load.go.set()
    await turns()
    assert (load.ended, len(flights)) == (1, 0)


async def test_an_error_reaches_every_waiter_and_is_forgotten() -> None:
    flights, go = SingleFlight[int](), asyncio.Event()
    failures = 0

    async def load(flight: Flight) -> int:
        nonlocal failures
        await go.wait()
        failures += 1
        raise Unavailable("away")

    waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(100)]
    await turns()
    go.set()
    found = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(each) for each in found] == [Unavailable] * 100
    assert (failures, len(flights)) == (1, 0)
    with pytest.raises(Unavailable):
        await flights.do("key", load)
    assert failures == 2


async def test_an_error_that_nobody_waits_for_is_no_noise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flights, go = SingleFlight[int](), asyncio.Event()

    async def load(flight: Flight) -> int:
        await go.wait()
        raise Unavailable("away")

    waiter = asyncio.create_task(flights.do("key", load))
    await turns()
    waiter.cancel()
    await turns()
    go.set()
    await turns()
    gc.collect()
    assert len(flights) == 0
    assert caplog.messages == []


async def test_a_load_that_is_cancelled_leaves_nobody_waiting() -> None:
    flights, load = SingleFlight[int](), Loads()
    waiters = [asyncio.create_task(flights.do("key", load)) for _ in range(3)]
    await turns()
    _, task = flights._flights["key"]
    task.cancel()
    found = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), 5)
    assert [type(each) for each in found] == [asyncio.CancelledError] * 3
    assert len(flights) == 0


async def test_who_asks_after_forget_does_not_join_the_old_load() -> None:
    flights, old, new = SingleFlight[int](), Loads(), Loads()
    new.began = 10
    before = asyncio.create_task(flights.do("key", old))
    await turns()
    flights.forget("key")
    after = asyncio.create_task(flights.do("key", new))
    await turns()
    assert (old.flights[0].current, new.flights[0].current) == (False, True)
    new.go.set()
    assert await after == (11, False)
    old.go.set()
    assert await before == (1, False)  # who asked before the write may see what was before it


async def test_an_old_load_that_lands_late_does_not_take_the_new_one_with_it() -> None:
    flights, old, new = SingleFlight[int](), Loads(), Loads()
    before = asyncio.create_task(flights.do("key", old))
    await turns()
    flights.forget("key")
    after = asyncio.create_task(flights.do("key", new))
    await turns()
    old.go.set()
    await before
    joined = asyncio.create_task(flights.do("key", new))
    await turns()
    assert new.began == 1
    new.go.set()
    assert (await after, await joined) == ((1, False), (1, True))


async def test_forget_is_of_one_key_and_of_a_load_under_way_alone() -> None:
    flights, load = SingleFlight[int](), Loads()
    flights.forget("key")
    waiter = asyncio.create_task(flights.do("key", load))
    await turns()
    flights.forget("another")
    assert load.flights[0].current
    load.go.set()
    await waiter
    flights.forget("key")
    assert await flights.do("key", load) == (2, False)
