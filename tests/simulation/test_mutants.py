"""The mutants of the product, which ``make simulate`` runs: each still fits the code."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant, patched


def test_there_are_enough_mutants_with_a_name_each() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    for path in {patch.path for patch in mutant.patches}:
        compile(patched(path, mutant.patches), path, "exec")
