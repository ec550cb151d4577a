"""An invented catalogue of any size, in which a row follows from the seed and its number alone.

Rows are the same on every run, machine and Python version, so they are drawn from a hash instead
of ``random``, in whole numbers. A changed word in ``words.json`` changes the rows, not their ids.
"""

from __future__ import annotations

import calendar
import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import orjson

from db.catalog.formats import DAY_US, EPOCH
from db.store import Stored
from db.version import make_version
from db.video import Row, build

T = TypeVar("T")

SMALLEST_BYTES = 540
LARGEST_BYTES = 656
"""Nearly every row as JSON is between both, like the rows that the service was measured with."""
FIRST_US = 1_420_070_400_000_000
"""The first of January 2015, in microseconds since 1970: when the first row was added."""
LAST_US = 1_735_689_600_000_000
"""The first of January 2025: a fixed moment, long past, before which all rows were added."""

_NAMESPACE = uuid.UUID("0c1f6d0e-9b51-5d43-9a4e-3f0f5f0a7c55")
_WORDS = Path(__file__).with_name("words.json")
_MOVIES_IN_TEN = 7
_OLDEST_DAYS = 40 * 365


@cache
def _sums(count: int) -> list[int]:
    return list(accumulate(100_000 // (rank + 3) for rank in range(count)))


class _Dice:
    """Draws from 512 bits that ``seed`` and ``index`` alone decide."""

    def __init__(self, seed: int, index: int):
        digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=64).digest()
        self._bits = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def pick_skewed(self, values: Sequence[T]) -> T:
        """Draw the n-th value in proportion to 1 / (n + 3), as a few genres hold most titles."""
        sums = _sums(len(values))
        return values[bisect_right(sums, self.below(sums[-1]))]


class Generator:
    """The rows of one ``seed``. Another ``catalogue`` name gives the same rows other ids."""

    def __init__(self, seed: int, catalogue: str):
        self._seed = seed
        self._namespace = uuid.uuid5(_NAMESPACE, catalogue)
        self._words: dict[str, list[str]] = orjson.loads(_WORDS.read_bytes())
        self._longest = max(map(len, self._words["turns"])) + 1

    def rows(self, count: int) -> Iterator[Stored]:
        return map(self.row, range(count))

    def row(self, index: int) -> Stored:
        video_id = str(uuid.uuid5(self._namespace, f"{self._seed}/{index}"))
        dice = _Dice(self._seed, index)
        created_us = FIRST_US + dice.below(LAST_US - FIRST_US)
        created = make_version(created_us, dice.below(2**62).to_bytes(8, "big"))
        row = self._without_story(dice, video_id, created, created_us // DAY_US)
        row["description"] = self._story(dice, len(orjson.dumps(row)))
        return Stored(row, created)

    def _without_story(self, dice: _Dice, video_id: str, created: str, added_day: int) -> Row:
        """Return the row with an empty description."""
        words = self._words
        is_movie = dice.below(10) < _MOVIES_IN_TEN
        values = {
            "title": self._title(dice),
            "description": "",
            "genres": sorted({dice.pick_skewed(words["genres"]) for _ in range(1 + dice.below(3))}),
            "cast": sorted({self._name(dice) for _ in range(1 + dice.below(3))}),
            "director": self._name(dice) if is_movie else None,
            "duration": 60 * (75 + dice.below(80)) if is_movie else None,
            "rating": dice.pick_skewed(words["ratings"]),
            "releasedate": _date(added_day - dice.below(1 + dice.below(_OLDEST_DAYS))),
            "isoriginal": dice.below(4) == 0,
            "ismovie": is_movie,
            "locationuri": f"/video/{video_id}",
            "thumbnailurl": f"/image/{video_id}",
            "trailerurl": f"/trailer/{video_id}" if dice.below(4) == 0 else None,
            "regions": sorted(
                {dice.pick_skewed(words["regions"]) for _ in range(1 + dice.below(2))}
            ),
            "seasons": None if is_movie else 1 + dice.below(1 + dice.below(9)),
        }
        return build(video_id, created, values)

    def _pick(self, dice: _Dice, *kinds: str) -> list[str]:
        return [dice.pick(self._words[kind]) for kind in kinds]

    def _title(self, dice: _Dice) -> str:
        adjective, noun, place = self._pick(dice, "adjectives", "nouns", "places")
        number = 1 + dice.below(9)
        shape = dice.pick(self._words["titles"])
        return shape.format(adjective=adjective, noun=noun, place=place, number=number)

    def _name(self, dice: _Dice) -> str:
        return " ".join(self._pick(dice, "first_names", "last_names"))

    def _story(self, dice: _Dice, size_bytes: int) -> str:
        """Return sentences that bring a row of ``size_bytes`` between smallest and largest."""
        text = "In {}, {} {}.".format(*self._pick(dice, "places", "heroes", "deeds"))
        room_bytes = LARGEST_BYTES - SMALLEST_BYTES - self._longest
        wanted = SMALLEST_BYTES + dice.below(room_bytes) - size_bytes
        turns = self._words["turns"]
        turn = dice.below(len(turns))
        while len(text) < wanted:
            text += f" {turns[turn % len(turns)]}"
            turn += 1
        return text


def _date(day: int) -> str:
    """Return the date ``day`` days after 1970 as the original writes it: "November 9, 2017"."""
    released = date.fromordinal(EPOCH.toordinal() + day)
    return f"{calendar.month_name[released.month]} {released.day}, {released.year}"
