"""The promise held against schedules: fixed seeds, and new ones each time."""

import os
import random
import subprocess
import sys

import pytest

from tests.simulation.draw import draw_plan
from tests.simulation.killing import known_seeds

FIXED, PART, NEW = 600, 150, 200
"""``make simulate`` runs a million."""


def simulate(first: int, count: int) -> tuple[int, str]:
    """The status and the output of so many schedules, in a process of its own."""
    command = [sys.executable, "-m", "tests.simulation", "--workers", "1"]
    done = subprocess.run(
        [*command, "--first", str(first), "--schedules", str(count)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.rpartition("\r")[2] + done.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, FIXED, PART))
def test_fixed_seeds_break_no_promise(first: int) -> None:
    status, output = simulate(first, PART)
    assert status == 0, output


@pytest.mark.timeout(300)
def test_new_seeds_break_no_promise() -> None:
    first = random.SystemRandom().randrange(10**9, 10**12)
    status, output = simulate(first, NEW)
    assert status == 0, f"seeds from {first}: {output}"


def test_a_seed_is_the_same_schedule_every_time() -> None:
    def replay() -> str:
        command = [sys.executable, "-m", "tests.simulation", "--seed", "17"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    first = replay()
    assert "the promise holds" in first
    assert replay() == first


def test_some_schedules_read_several_rows_and_none_that_finds_a_mutant_does() -> None:
    """Or the seeds of ``killed.json`` would be schedules that nobody has searched."""

    def reads_several(seed: int) -> bool:
        return any(act.kind == "several" for acts in draw_plan(seed).clients for act in acts)

    assert sum(map(reads_several, range(300))) > 15
    assert not any(map(reads_several, known_seeds().values()))
