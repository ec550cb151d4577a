"""Bytes that arrive while the lane works are of the worker's budget, and are given back."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from cache.entry import Entry
from tests.http.wire import parse, request
from tests.wire.in_process import until
from tests.wire.test_lane_load import STORE, World, loading
from wire.limits import FREE_BYTES, HELD_MAX_BYTES, Wire

KIB = 1_024
LARGE = request("GET", "/nowhere", *(f"X-{number}: {'y' * 150}" for number in range(80)))
MANY = 8


async def held(world: World, sent: bytes) -> None:
    """The lane loads a row, and ``sent`` has arrived meanwhile."""
    world.store.opened.clear()
    asked = world.store.asked
    world.client.send(world.plain)
    await until(lambda: world.store.asked == asked + 1)
    world.client.send(sent)


def budget_of(world: World) -> Wire:
    wire: Wire = world.app.state.wire
    return wire


def refusals(world: World, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What connections are ended for from now on."""
    found: list[object] = []
    for why, counter in budget_of(world).refusals.items():
        monkeypatch.setattr(counter, "inc", partial(found.append, why))
    return found


async def test_bytes_that_arrive_during_a_load_are_charged_until_their_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        budget = budget_of(world)
        await held(world, LARGE * MANY)
        await until(lambda: budget.left_bytes <= HELD_MAX_BYTES - len(LARGE) + FREE_BYTES)
        world.store.opened.set()
        statuses = [(await world.client.answer()).status for _ in range(1 + MANY)]
        assert statuses == [200] + [404] * MANY
        assert budget.left_bytes == HELD_MAX_BYTES


@pytest.mark.parametrize("count", [1, 2, 20])
async def test_plain_requests_that_wait_leave_no_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """One is known by its bytes, so the parser does not see it."""
    padding = "x" * (3 * KIB)
    async with loading(tmp_path, monkeypatch) as world:
        budget = budget_of(world)
        padded = request("GET", world.path, f"X: {padding}")
        world.client.send(padded)
        assert (await world.client.answer()).status == 200
        await held(world, padded * count)
        await asyncio.sleep(0.02)
        world.store.opened.set()
        assert [(await world.client.answer()).status for _ in range(1 + count)] == [200] * (
            1 + count
        )
        assert budget.left_bytes == HELD_MAX_BYTES


async def test_a_client_that_goes_away_during_a_load_gives_its_bytes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        budget = budget_of(world)
        await held(world, LARGE * MANY)
        await until(lambda: budget.left_bytes < HELD_MAX_BYTES)
        world.client.writer.transport.abort()
        await asyncio.sleep(0.05)
        world.store.opened.set()  # reading is paused, so the end is seen with the answer
        await until(lambda: budget.left_bytes == HELD_MAX_BYTES)


async def test_without_room_the_connection_ends_after_answers_to_whole_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        budget, refused = budget_of(world), refusals(world, monkeypatch)
        budget.left_bytes = KIB
        await held(world, LARGE * MANY)
        await until(lambda: len(refused) == 1)
        assert budget.left_bytes == KIB
        world.client.send(LARGE)
        world.store.opened.set()
        assert (await world.client.answer()).status == 200
        (last,) = parse(await world.client.rest())
        assert (last.status, last.headers["connection"]) == (404, "close")
        assert (refused, budget.left_bytes) == ([503], KIB)


async def test_without_room_the_connection_ends_after_an_answer_of_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has a negative entry, which the lane leaves to the app."""
    async with loading(tmp_path, monkeypatch) as world:
        budget, refused = budget_of(world), refusals(world, monkeypatch)
        asked: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(world.app.state.lane, "ask", lambda key: asked)
        budget.left_bytes = KIB
        world.client.send(world.plain)
        await asyncio.sleep(0.02)
        world.client.send(LARGE * MANY)
        await until(lambda: len(refused) == 1)
        asked.set_result(Entry.absent())
        answer = await world.client.answer()
        assert (answer.status, answer.headers["cache-status"]) == (200, STORE)
        (last,) = parse(await world.client.rest())
        assert (last.status, last.headers["connection"]) == (404, "close")
        assert (refused, budget.left_bytes) == ([503], KIB)
