"""Drain: which signals count."""

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

import drain as drains
from drain import Drain


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Signals that came through to the server's own handler."""
    numbers: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def tell() -> None:
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0.01)  # the loop hears of it in its next turn


async def test_a_signal_soon_after_the_first_counts_as_the_same(told: list[int]) -> None:
    drain = Drain(60.0)
    with drain.armed():
        assert not drain.active
        for _ in range(3):
            await tell()
            assert (drain.active, told) == (True, [])
    signal.raise_signal(signal.SIGTERM)  # to the server alone, as before
    assert told == [signal.SIGTERM]


async def test_a_later_signal_ends_the_drain(
    told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drains, "AGAIN_S", 0.0)
    with Drain(60.0).armed():
        await tell()
        assert told == []
        await tell()
        assert told == [signal.SIGTERM]
        await tell()  # to the server alone
        assert told == [signal.SIGTERM] * 2


async def test_a_drain_ends_by_itself_once(told: list[int]) -> None:
    with Drain(0.02).armed():
        await tell()
        await asyncio.sleep(0.1)
        assert told == [signal.SIGTERM]
