"""The catalogue's command over a store of the test's own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.catalog.__main__ import SIGNALS
from tests.db.catalog.command_line import Catalog


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A command that runs in this process leaves its handlers."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def command(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)
