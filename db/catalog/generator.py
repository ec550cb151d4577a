"""An invented catalogue of any size: row ``i`` follows from the seed and ``i`` alone.

It is the same on every run, machine and Python version, which is why it draws from a hash instead
of ``random`` and counts in whole numbers. Nearly every row is 540 to 656 bytes of JSON, the size
of the rows that the service was measured with.
"""

from __future__ import annotations

import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import accumulate
from typing import TypeVar

import orjson

from db.catalog import vocabulary as words
from db.catalog.formats import DAY_US, MONTHS
from db.store import Stored
from db.version import make_version
from db.video import Row, build

T = TypeVar("T")

SMALLEST_BYTES = 540
LARGEST_BYTES = 656
FIRST_US = 1_420_070_400_000_000
"""The first of January 2015, in microseconds since 1970: when the first row was added."""
LAST_US = 1_735_689_600_000_000
"""The first of January 2025: a fixed moment, long past, before which all rows were added."""

_NAMESPACE = uuid.UUID("0c1f6d0e-9b51-5d43-9a4e-3f0f5f0a7c55")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MOVIES_IN_TEN = 7
_OLDEST_DAYS = 40 * 365


def _skewed(values: Sequence[T]) -> tuple[Sequence[T], list[int]]:
    """Values whose n-th is drawn in proportion to 1 / (n + 3), as a few genres hold most titles."""
    return values, list(accumulate(100_000 // (rank + 3) for rank in range(len(values))))


_GENRES = _skewed(words.GENRES)
_RATINGS = _skewed(words.RATINGS)
_REGIONS = _skewed(words.REGIONS)
_LONGEST = max(map(len, words.TURNS)) + 1


class _Dice:
    """Draws from 512 bits that ``seed``, ``index`` and nothing else decide."""

    __slots__ = ("_bits",)

    def __init__(self, seed: int, index: int):
        digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=64).digest()
        self._bits = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def pick_skewed(self, values: tuple[Sequence[T], list[int]]) -> T:
        choices, sums = values
        return choices[bisect_right(sums, self.below(sums[-1]))]


class Generator:
    """The rows of one seed; ``catalogue`` tells the ids of equal seeds apart."""

    def __init__(self, seed: int, catalogue: str):
        self._seed = seed
        self._namespace = uuid.uuid5(_NAMESPACE, catalogue)

    def rows(self, count: int) -> Iterator[Stored]:
        return map(self.row, range(count))

    def row(self, index: int) -> Stored:
        video_id = str(uuid.uuid5(self._namespace, f"{self._seed}/{index}"))
        dice = _Dice(self._seed, index)
        created_us = FIRST_US + dice.below(LAST_US - FIRST_US)
        created = make_version(created_us, dice.below(2**62).to_bytes(8, "big"))
        row = _row(dice, video_id, created, _EPOCH_DAY + created_us // DAY_US)
        row["description"] = _story(dice, len(orjson.dumps(row)))
        return Stored(row, created)


def _row(dice: _Dice, video_id: str, created: str, added_day: int) -> Row:
    """The row without its description."""
    is_movie = dice.below(10) < _MOVIES_IN_TEN
    values = {
        "title": _title(dice),
        "description": "",
        "genres": sorted({dice.pick_skewed(_GENRES) for _ in range(1 + dice.below(3))}),
        "cast": sorted({_name(dice) for _ in range(1 + dice.below(3))}),
        "director": _name(dice) if is_movie else None,
        "duration": 60 * (75 + dice.below(80)) if is_movie else None,
        "rating": dice.pick_skewed(_RATINGS),
        "releasedate": _date(added_day - dice.below(1 + dice.below(_OLDEST_DAYS))),
        "isoriginal": dice.below(4) == 0,
        "ismovie": is_movie,
        "locationuri": f"/video/{video_id}",
        "thumbnailurl": f"/image/{video_id}",
        "trailerurl": f"/trailer/{video_id}" if dice.below(4) == 0 else None,
        "regions": sorted({dice.pick_skewed(_REGIONS) for _ in range(1 + dice.below(2))}),
        "seasons": None if is_movie else 1 + dice.below(1 + dice.below(9)),
    }
    return build(video_id, created, values)


def _title(dice: _Dice) -> str:
    adjective, noun, place = (
        dice.pick(values) for values in (words.ADJECTIVES, words.NOUNS, words.PLACES)
    )
    shapes = (
        f"The {adjective} {noun}",
        f"{adjective} {noun}",
        f"The {noun} of {place}",
        f"The {adjective} {noun} of {place}",
        f"{place}: {adjective} {noun}",
        f"{noun}: {place}",
        f"{adjective} in {place}",
        f"{adjective} {noun} {1 + dice.below(9)}",
    )
    return dice.pick(shapes)


def _date(ordinal: int) -> str:
    """A date as the original writes it: "November 9, 2017"."""
    day = date.fromordinal(ordinal)
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def _name(dice: _Dice) -> str:
    return f"{dice.pick(words.FIRST_NAMES)} {dice.pick(words.LAST_NAMES)}"


def _story(dice: _Dice, size_bytes: int) -> str:
    """Sentences that fill a row of ``size_bytes`` up to between the smallest and the largest."""
    text = f"In {dice.pick(words.PLACES)}, {dice.pick(words.HEROES)} {dice.pick(words.DEEDS)}."
    wanted = SMALLEST_BYTES + dice.below(LARGEST_BYTES - SMALLEST_BYTES - _LONGEST) - size_bytes
    turn = dice.below(len(words.TURNS))
    while len(text) < wanted:
        text += f" {words.TURNS[turn % len(words.TURNS)]}"
        turn += 1
    return text
