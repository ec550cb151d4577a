"""Drain: which signals count, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from middleware.drain import AGAIN_S, Drain


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Signals that came through to the server's own handler."""
    numbers: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def test_a_signal_counts_again_only_some_time_after_the_first(told: list[int]) -> None:
    now = 100.0
    drain = Drain(60.0, lambda: now)
    with drain.armed():
        assert not drain.active
        for after_s in (0.0, 0.0, 0.5, AGAIN_S - 0.01):
            now = 100.0 + after_s
            signal.raise_signal(signal.SIGTERM)
            assert (drain.active, told) == (True, [])
        now = 100.0 + AGAIN_S
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        assert told == [signal.SIGTERM]
    signal.raise_signal(signal.SIGTERM)  # to the server alone, as before
    assert told == [signal.SIGTERM] * 2
