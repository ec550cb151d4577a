"""The mutants of the product: each fits the code, and the simulation finds them out."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from lupa.lua51 import LuaRuntime

from tests.simulation.killing import kill, known_seeds
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant, patched

ENOUGH = 25
SEARCHED = 400
"""Schedules for a mutant whose known seed has become another schedule by a change of the product.
They are searched only if too few known seeds are left. ``make simulate`` searches longer, and
writes the seeds anew."""


def test_there_are_enough_mutants_with_a_name_each() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= ENOUGH


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    for path in {patch.path for patch in mutant.patches}:
        text = patched(path, mutant.patches)
        if path.endswith(".lua"):
            LuaRuntime().compile(text)
        elif path.endswith(".py"):
            compile(text, path, "exec")


@pytest.mark.timeout(900)
def test_mutants_are_found_out() -> None:
    seeds = known_seeds()

    def dies_at_known_seed(mutant: Mutant) -> bool:
        known = seeds.get(mutant.name)
        return known is not None and kill(mutant, known, 1).seed is not None

    def dies(mutant: Mutant) -> bool:
        return kill(mutant, 0, SEARCHED).seed is not None

    alive = list(MUTANTS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for dead in (dies_at_known_seed, dies):
            found = zip(alive, pool.map(dead, alive), strict=True)
            alive = [mutant for mutant, is_dead in found if not is_dead]
            if len(MUTANTS) - len(alive) >= ENOUGH:
                return
    pytest.fail(f"not found out: {[mutant.name for mutant in alive]}")
