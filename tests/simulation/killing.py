"""Runs every mutant until the simulation finds it out, each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import orjson

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant

SEEDS = Path(__file__).with_name("killed.json")
"""By which seed each mutant was killed in the last whole run; tests try that one first."""


class Killed(NamedTuple):
    """``seed`` is None if the mutant has survived ``tried`` schedules."""

    mutant: Mutant
    tried: int
    seed: int | None
    kind: str


def known_seeds() -> dict[str, int]:
    seeds: dict[str, int] = orjson.loads(SEEDS.read_bytes())
    return seeds


def kill(mutant: Mutant, first: int, count: int) -> Killed:
    """Run a mutant with so many seeds from ``first`` on, or until it breaks the promise."""
    options = ["--mutant", mutant.name, "--first", str(first), "--schedules", str(count)]
    command = [sys.executable, "-m", "tests.simulation", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = orjson.loads(done.stdout)
    seed, kind, _ = found or (None, "", "")
    return Killed(mutant, count if seed is None else seed - first + 1, seed, kind)


def kill_all(
    count: int, workers: int, progress: Callable[[Killed], None] = lambda killed: None
) -> list[Killed]:
    """Run all mutants with the seeds from 0 on."""
    killed = []
    with ThreadPoolExecutor(workers) as pool:
        for each in pool.map(lambda mutant: kill(mutant, 0, count), MUTANTS):
            progress(each)
            killed.append(each)
    return killed


def table_of(killed: Sequence[Killed]) -> Iterator[str]:
    """The table of the documentation."""
    yield "| mutant | the rule it breaks | schedules | found as |"
    yield "|---|---|---|---|"
    for each in killed:
        count = f"{each.tried:,}" if each.seed is not None else f"survived {each.tried:,}"
        yield f"| {each.mutant.name} | {each.mutant.rule} | {count} | {each.kind} |"
