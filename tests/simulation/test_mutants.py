"""The simulation can fail: it finds out every mutant of the product."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.simulation.killing import Killed, kill, known_seeds
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant, patched

ENOUGH = 20_000


def test_there_are_enough_mutants_with_a_name_each() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    for path in {patch.path for patch in mutant.patches}:
        compile(patched(path, mutant.patches), path, "exec")


def found_out(mutant: Mutant) -> Killed:
    """By the seed that did it before, else by any."""
    seed = known_seeds().get(mutant.name)
    if seed is not None:
        killed = kill(mutant, seed, 1)
        if killed.seed is not None:
            return killed
    return kill(mutant, 0, ENOUGH)


@pytest.mark.timeout(3_600)  # after a change of the product the known seeds are of no use
def test_every_mutant_breaks_the_promise_within_twenty_thousand_schedules() -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        survivors = [each for each in pool.map(found_out, MUTANTS) if each.seed is None]
    assert not survivors
