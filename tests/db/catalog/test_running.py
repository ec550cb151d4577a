"""How a command waits out outages, and what a user sees while it runs."""

import asyncio
import io

import pytest

from db.catalog.running import Patience, Progress
from errors import Conflict, Late, ServiceError, Unavailable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_it_is_a_line_every_five_seconds() -> None:
    out, now = io.StringIO(), 100.0
    progress = Progress(out, lambda: now)
    for second in range(12):
        now = 100.0 + second
        progress.update(1_000 * second, second / 20)
    progress.close()
    assert out.getvalue().splitlines() == [
        "5,000 rows, 1,000/s, 25 %, 15 s left",
        "10,000 rows, 1,000/s, 50 %, 10 s left",
    ]


def test_without_a_share_nothing_is_said_about_what_is_left() -> None:
    out, now = io.StringIO(), 0.0
    progress = Progress(out, lambda: now)
    now = 10.0
    progress.update(5_000)
    assert out.getvalue() == "5,000 rows, 500/s\n"


def test_on_a_terminal_it_is_one_line_with_rate_and_remaining_time() -> None:
    out, now = Terminal(), 0.0
    progress = Progress(out, lambda: now)
    now = 2.0
    progress.update(100, 0.5)
    progress.say("line 7: is not a row")
    progress.close()
    shown = "\r\x1b[K100 rows, 50/s, 50 %, 2 s left"
    assert out.getvalue() == f"{shown}\r\x1b[Kline 7: is not a row\n{shown}\n"


async def test_patience_tries_again_after_an_outage_and_not_after_a_mistake() -> None:
    failures: list[Exception] = [Unavailable(), Late(), Unavailable()]

    async def call() -> str:
        if failures:
            raise failures.pop()
        return "done"

    patience = Patience([0.0001] * 3)
    assert await patience(call) == "done"
    failures[:] = [Unavailable(), Conflict()]
    with pytest.raises(Conflict):
        await patience(call)
    failures[:] = [Unavailable() for _ in range(6)]
    with pytest.raises(Unavailable):
        await patience(call)
    assert len(failures) == 2


async def test_patience_lasts_two_minutes_and_tells_of_its_longer_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    told: list[ServiceError] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def call() -> None:
        raise Unavailable

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(Unavailable):
        await Patience(on_wait=told.append)(call)
    assert pauses == [0.25, 0.5, 1, 2, 4, *[8] * 14]
    assert len(told) == len(pauses) - 2
