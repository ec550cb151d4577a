"""Work that outlives its caller (``db/background.py``)."""

import asyncio
import gc

import pytest

from db.background import Background
from errors import Invalid


async def fail(error: Exception, going: asyncio.Event) -> None:
    await going.wait()
    raise error


@pytest.mark.parametrize(("error", "logged"), [(Invalid("no"), 0), (ValueError("no"), 1)])
async def test_an_error_whose_caller_is_gone_is_logged_unless_it_is_foreseen(
    error: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    background, going = Background(), asyncio.Event()
    caller = asyncio.create_task(background.finish(fail(error, going)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    going.set()
    await background.close(1.0)
    gc.collect()  # "never retrieved" is said when a task is freed
    assert len(caplog.records) == logged


@pytest.mark.parametrize(("error", "logged"), [(Invalid("no"), 0), (ValueError("no"), 1)])
async def test_an_error_that_nobody_awaits_is_logged_unless_it_is_foreseen(
    error: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    background, going = Background(), asyncio.Event()
    going.set()
    background.spawn(fail(error, going))
    await background.close(1.0)
    gc.collect()
    assert [record.name for record in caplog.records] == ["content"] * logged


async def test_the_caller_gets_the_error() -> None:
    going = asyncio.Event()
    going.set()
    with pytest.raises(ValueError, match="no"):
        await Background().finish(fail(ValueError("no"), going))


async def test_what_a_cancelled_task_begins_is_cancelled_too() -> None:
    background = Background()
    begun: list[asyncio.Task[bool]] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            begun.append(background.spawn(asyncio.Event().wait()))

    background.spawn(work())
    await asyncio.sleep(0)
    await background.close(0.0)
    assert [task.cancelled() for task in begun] == [True]


async def test_close_waits_for_every_task_while_there_is_patience() -> None:
    background, done = Background(), []

    async def work(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    for seconds in (0.01, 0.05):
        background.spawn(work(seconds))
    await background.close(10.0)
    assert done == [0.01, 0.05]
