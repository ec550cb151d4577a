"""The invented catalogue: the same for everybody, and shaped like a real one."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import orjson

from db.catalog.generator import FIRST_US, LARGEST_BYTES, LAST_US, SMALLEST_BYTES, Generator
from db.store import Stored
from db.version import parse_id, parse_version, version_us
from db.video import build, parse_draft

PRINT = """
from db.catalog.generator import Generator
for stored in Generator(7, "generated").rows(50): print(stored)
"""


def some(count: int = 2_000, seed: int = 1) -> list[Stored]:
    return list(Generator(seed, "generated").rows(count))


def test_a_row_follows_from_seed_and_number_alone() -> None:
    rows = some(300)
    generator = Generator(1, "generated")
    assert [generator.row(index) for index in reversed(range(300))] == rows[::-1]
    assert some(200) == rows[:200]


def test_another_seed_or_catalogue_has_other_ids() -> None:
    ids = {stored.row["id"] for stored in some(500)}
    assert len(ids) == 500
    assert ids.isdisjoint(stored.row["id"] for stored in some(500, seed=2))
    assert ids.isdisjoint(stored.row["id"] for stored in Generator(1, "other").rows(500))


def test_rows_are_the_same_in_every_process() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b"lastupdated" in outputs.pop()


def test_rows_never_change_with_a_release() -> None:
    digest = hashlib.sha256(b"".join(orjson.dumps(stored[:3]) for stored in some(1_000)))
    assert digest.hexdigest() == "de5ee08184143eaa22db43d5e5511717736479106f85bd1bc9b664dbd1eaf14e"


def test_every_row_could_have_been_posted() -> None:
    for stored in some():
        row = stored.row
        assert parse_id(row["id"]) == row["id"]
        assert parse_version(stored.created) == stored.created == row["lastupdated"]
        values = {key: row[key] for key in row if key not in ("id", "lastupdated")}
        assert build(row["id"], stored.created, parse_draft(values)) == row
        assert list(row) == list(build(row["id"], stored.created, values))


def test_rows_have_the_size_that_the_service_was_measured_with() -> None:
    sizes = sorted(len(orjson.dumps(stored.row)) for stored in some())
    assert sizes[0] >= SMALLEST_BYTES
    assert sizes[len(sizes) * 99 // 100] <= LARGEST_BYTES
    assert sizes[-1] < LARGEST_BYTES + 60


def test_rows_were_added_all_through_the_past() -> None:
    moments = sorted(version_us(stored.created) for stored in some())
    assert moments[0] >= FIRST_US
    assert moments[-1] < LAST_US
    quarter = (LAST_US - FIRST_US) // 4
    by_quarter = Counter((moment - FIRST_US) // quarter for moment in moments)
    assert all(400 < count < 600 for count in by_quarter.values())


def test_a_few_genres_hold_most_titles_and_all_of_forty_hold_some() -> None:
    counts = Counter(genre for stored in some(5_000) for genre in stored.row["genres"])
    assert len(counts) == 40
    ranked = [count for _, count in counts.most_common()]
    assert ranked[0] > 5 * ranked[-1] > 0
    assert {len(stored.row["genres"]) for stored in some()} == {1, 2, 3}


def test_release_dates_are_written_as_the_original_writes_them() -> None:
    for stored in some(300):
        released = datetime.strptime(stored.row["releasedate"], "%B %d, %Y").replace(tzinfo=UTC)
        assert released.timestamp() * 1_000_000 <= version_us(stored.created)
        assert f" {released.day}, " in stored.row["releasedate"]  # no zero before the day


def test_movies_have_a_duration_and_series_have_seasons() -> None:
    rows = [stored.row for stored in some()]
    movies = [row for row in rows if row["ismovie"]]
    assert 0.6 < len(movies) / len(rows) < 0.8
    assert all(row["duration"] >= 75 * 60 for row in movies)
    series = [row for row in rows if not row["ismovie"]]
    assert all(row["duration"] is None and row["seasons"] >= 1 for row in series)


def test_five_million_rows_are_asked_for_without_being_made() -> None:
    assert len(list(islice(Generator(1, "generated").rows(5_000_000), 3))) == 3
