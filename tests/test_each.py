"""``each``: every case is tried, and each that fails is told."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.each import each

ROOT = Path(__file__).resolve().parent.parent

CASES = """
import pytest
from tests.each import each

@pytest.fixture
def one():
    return 1

@each("number", [1, 2, 3, 4])
def test_one_list(one, number):
    print("tried", number)
    assert number % 2 == one

@each(("a", "b"), [(1, 1), (2, 3)])
def test_pairs(a, b):
    assert a == b

@each("x", [1, 2])
@each("y", [3, 4])
@pytest.mark.parametrize("z", [5, 6])
def test_lists_are_multiplied(x, y, z):
    assert (x, y, z) != (2, 4, 6)
"""


def test_each_case_that_fails_is_reported_with_its_values(tmp_path: Path) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", str(tmp_path)]
    plain = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environ = {**os.environ, **plain}
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout
    for case in ("number=2", "number=4", "a=2, b=3", "x=2, y=4"):
        assert f"({case})" in said
    assert said.count("SUBFAILED") == 4, said
    assert "tried 1\ntried 2\ntried 3\ntried 4" in said


seen: list[tuple[int, str]] = []


@each("number", [1, 2])
@each("letter", "ab")
def test_all_pairs_are_tried(number: int, letter: str) -> None:
    seen.append((number, letter))


def test_all_pairs_were_tried(request: Any) -> None:
    seen.clear()
    test_all_pairs_are_tried(request.getfixturevalue("subtests"))
    assert seen == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
