"""The catalogue's command over a store of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.db.catalog.command_line import Catalog


@pytest.fixture
def command(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)
