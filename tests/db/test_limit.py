"""The limit on reads: who waits, who goes first, who is sent away, and how the limit moves."""

import asyncio

import pytest

from db.cassandra import limit as rules
from db.cassandra.limit import INITIAL, MINIMUM, WINDOW_READS, WINDOW_S, Limit
from errors import Shed


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def full(limit: Limit) -> None:
    while limit.in_flight < int(limit.limit):
        await limit.enter(is_urgent=True)


def window(limit: Limit, clock: Clock, seconds: float, at_a_time: int | None = None) -> None:
    """A window of reads that took so long each, with so many in flight (else as many as may)."""
    limit.in_flight = limit._most = int(limit.limit) if at_a_time is None else at_a_time
    for _ in range(WINDOW_READS):
        limit.in_flight += 1
        clock.now_s += WINDOW_S / WINDOW_READS
        limit.leave(seconds)


async def test_as_many_as_the_limit_go_at_once_and_the_next_when_one_leaves() -> None:
    limit = Limit(200)
    await full(limit)
    assert limit.in_flight == INITIAL
    waiting = asyncio.create_task(limit.enter(is_urgent=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    limit.leave(0.001)
    await waiting
    assert limit.in_flight == INITIAL


async def test_clicks_go_before_hovers_and_each_in_their_order() -> None:
    limit = Limit(1)
    await full(limit)
    order: list[str] = []

    async def go(name: str, is_urgent: bool) -> None:
        await limit.enter(is_urgent)
        order.append(name)
        limit.leave(None)

    names = [("hover 1", False), ("click 1", True), ("hover 2", False), ("click 2", True)]
    tasks = [asyncio.create_task(go(*each)) for each in names]
    await asyncio.sleep(0)
    limit.leave(None)
    await asyncio.gather(*tasks)
    assert order == ["click 1", "click 2", "hover 1", "hover 2"]
    assert limit.in_flight == 0


async def test_in_a_queue_that_stands_the_newest_goes_first(clock: Clock) -> None:
    limit = Limit(1, clock=clock)
    await full(limit)
    order: list[int] = []

    async def go(number: int) -> None:
        await limit.enter(is_urgent=True)
        order.append(number)

    tasks = []
    for number in range(4):
        tasks.append(asyncio.create_task(go(number)))
        await asyncio.sleep(0)
        clock.now_s += rules.STANDING_S / 3
    for task in (3, 2, 0, 1):  # the queue no longer stands once its oldest are through
        if task == 0:
            clock.now_s = 100.0
        limit.leave(None)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert order == [3, 2, 0, 1]


async def test_who_waits_too_long_is_sent_away_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "CLICK_WAIT_S", 0.01)
    limit = Limit(1)
    await full(limit)
    with pytest.raises(Shed):
        await limit.enter(is_urgent=True)
    limit.leave(None)
    assert (limit.in_flight, limit.is_congested) == (0, False)
    await limit.enter(is_urgent=True)  # nobody stands before one


async def test_a_turn_that_comes_to_one_who_was_cancelled_goes_to_the_next() -> None:
    limit = Limit(1)
    await full(limit)
    first, second = (asyncio.create_task(limit.enter(is_urgent=True)) for _ in range(2))
    await asyncio.sleep(0)
    limit.leave(None)  # the first one's turn, before it knows
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    await asyncio.wait_for(second, 1)
    assert limit.in_flight == 1

    third, fourth = (asyncio.create_task(limit.enter(is_urgent=True)) for _ in range(2))
    await asyncio.sleep(0)
    third.cancel()
    limit.leave(None)  # passes the cancelled one over, which has not run yet
    await asyncio.wait([third])
    await asyncio.wait_for(fourth, 1)
    assert limit.in_flight == 1


@pytest.mark.parametrize(
    ("is_urgent", "bearable_s"), [(True, rules.BURST_S), (False, rules.HOVER_WAIT_S / 2)]
)
async def test_a_queue_is_a_burst_and_waiting_in_it_for_long_is_congestion(
    clock: Clock, is_urgent: bool, bearable_s: float
) -> None:
    limit = Limit(1, clock=clock)
    assert not limit.is_congested
    await full(limit)
    assert not limit.is_congested
    waiting = asyncio.create_task(limit.enter(is_urgent))
    await asyncio.sleep(0)
    clock.now_s += bearable_s - 0.001
    assert not limit.is_congested
    clock.now_s += 0.002
    assert limit.is_congested
    limit.leave(None)
    await waiting
    assert not limit.is_congested


def test_the_limit_grows_while_latency_holds_and_stops_at_the_maximum(clock: Clock) -> None:
    seen: list[float] = []
    limit = Limit(60, clock=clock)
    for _ in range(200):
        window(limit, clock, 0.002)
        seen.append(limit.limit)
    assert limit.limit == 60
    assert seen == sorted(seen)
    assert limit.updates == 200


def test_the_limit_shrinks_when_reads_queue_and_comes_back(clock: Clock) -> None:
    limit = Limit(200, clock=clock)
    for _ in range(100):
        window(limit, clock, 0.002)
    before = limit.limit
    for _ in range(30):
        window(limit, clock, 0.050)
    assert limit.limit < before / 2
    assert limit.limit >= MINIMUM
    low = limit.limit
    for _ in range(100):
        window(limit, clock, 0.002)
    assert limit.limit > 2 * low


def test_a_quiet_time_says_nothing_about_the_limit(clock: Clock) -> None:
    limit = Limit(200, clock=clock)
    for _ in range(50):
        window(limit, clock, 0.002)
    before = limit.limit
    for _ in range(100):
        window(limit, clock, 0.002, at_a_time=2)
    assert limit.limit == before
    assert limit.updates == 50


def test_latency_that_drifted_up_with_an_overload_comes_down_again(clock: Clock) -> None:
    limit = Limit(200, clock=clock)
    for _ in range(2_000):
        window(limit, clock, 0.050)
    assert limit._long_s > 0.045
    for _ in range(100):
        window(limit, clock, 0.002)
    assert limit._long_s < 0.005


def test_what_never_reached_the_store_is_no_sample(clock: Clock) -> None:
    limit = Limit(200, clock=clock)
    for _ in range(100):
        limit.in_flight += 1
        clock.now_s += WINDOW_S
        limit.leave(None)
    assert (limit.limit, limit._long_s) == (INITIAL, 0.0)


async def test_a_turn_more_goes_to_who_waits_and_not_to_who_comes_next(clock: Clock) -> None:
    limit = Limit(200, clock=clock)
    await full(limit)
    limit.limit = INITIAL + 0.9
    clicks = [asyncio.create_task(limit.enter(is_urgent=True)) for _ in range(3)]
    await asyncio.sleep(0)
    clock.now_s += 1.5 * WINDOW_S
    limit._reads = WINDOW_READS - 1  # the next to leave ends a window
    limit.leave(0.001)
    await asyncio.sleep(0)
    assert int(limit.limit) == limit.in_flight == INITIAL + 1
    assert [click.done() for click in clicks] == [True, True, False]
    clicks[-1].cancel()
