"""An invented catalogue of any size, in which a row follows from the seed and its number alone.

Rows are the same on every run, machine and Python version, so they are drawn from a hash instead
of ``random``, in whole numbers. A changed word in ``words.json`` changes the rows, not their ids.
"""

from __future__ import annotations

import calendar
import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from db.catalog.formats import DAY_US, EPOCH
from db.store import Stored
from db.version import make_version
from db.video import build

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
    """Draws from 512 bits that ``seed`` and ``index`` alone decide. A ``kind`` names a list of
    ``words``."""

    def __init__(self, words: Mapping[str, Sequence[str]], seed: int, index: int):
        digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=64).digest()
        self._bits = int.from_bytes(digest, "big")
        self._words = words

    def below(self, limit: int) -> int:
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def pick(self, *kinds: str) -> list[str]:
        """Draw a word of each kind."""
        return [self._words[kind][self.below(len(self._words[kind]))] for kind in kinds]

    def skewed(self, kind: str) -> str:
        """Draw the n-th word in proportion to 1 / (n + 3), as a few genres hold most titles."""
        words = self._words[kind]
        sums = _sums(len(words))
        return words[bisect_right(sums, self.below(sums[-1]))]

    def several(self, most: int, draw: Callable[[], str]) -> list[str]:
        return sorted({draw() for _ in range(1 + self.below(most))})

    def name(self) -> str:
        return " ".join(self.pick("first_names", "last_names"))

    def title(self) -> str:
        adjective, noun, place = self.pick("adjectives", "nouns", "places")
        number = 1 + self.below(9)
        (shape,) = self.pick("titles")
        return shape.format(adjective=adjective, noun=noun, place=place, number=number)

    def story(self, size_bytes: int) -> str:
        """Return sentences that bring a row of ``size_bytes`` between smallest and largest."""
        text = "In {}, {} {}.".format(*self.pick("places", "heroes", "deeds"))
        turns = self._words["turns"]
        longest = max(map(len, turns)) + 1
        wanted = SMALLEST_BYTES + self.below(LARGEST_BYTES - SMALLEST_BYTES - longest)
        turn = self.below(len(turns))
        while len(text) < wanted - size_bytes:
            text += f" {turns[turn % len(turns)]}"
            turn += 1
        return text


class Generator:
    """The rows of one ``seed``. Another ``catalogue`` name gives the same rows other ids."""

    def __init__(self, seed: int, catalogue: str):
        self._seed = seed
        self._namespace = uuid.uuid5(_NAMESPACE, catalogue)
        self._words: dict[str, list[str]] = orjson.loads(_WORDS.read_bytes())

    def rows(self, count: int) -> Iterator[Stored]:
        return map(self.row, range(count))

    def row(self, index: int) -> Stored:
        video_id = str(uuid.uuid5(self._namespace, f"{self._seed}/{index}"))
        dice = _Dice(self._words, self._seed, index)
        created_us = FIRST_US + dice.below(LAST_US - FIRST_US)
        created = make_version(created_us, dice.below(2**62).to_bytes(8, "big"))
        row = build(video_id, created, _values(dice, video_id, created_us // DAY_US))
        row["description"] = dice.story(len(orjson.dumps(row)))
        return Stored(row, created)


def _values(dice: _Dice, video_id: str, added_day: int) -> dict[str, Any]:
    """Return the fields of a row without its story. Their order is the order of the draws."""
    is_movie = dice.below(10) < _MOVIES_IN_TEN
    return {
        "title": dice.title(),
        "description": "",
        "genres": dice.several(3, lambda: dice.skewed("genres")),
        "cast": dice.several(3, dice.name),
        "director": dice.name() if is_movie else None,
        "duration": 60 * (75 + dice.below(80)) if is_movie else None,
        "rating": dice.skewed("ratings"),
        "releasedate": _date(added_day - dice.below(1 + dice.below(_OLDEST_DAYS))),
        "isoriginal": dice.below(4) == 0,
        "ismovie": is_movie,
        "locationuri": f"/video/{video_id}",
        "thumbnailurl": f"/image/{video_id}",
        "trailerurl": f"/trailer/{video_id}" if dice.below(4) == 0 else None,
        "regions": dice.several(2, lambda: dice.skewed("regions")),
        "seasons": None if is_movie else 1 + dice.below(1 + dice.below(9)),
    }


def _date(day: int) -> str:
    """Return the date ``day`` days after 1970 as the original writes it: "November 9, 2017"."""
    released = date.fromordinal(EPOCH.toordinal() + day)
    return f"{calendar.month_name[released.month]} {released.day}, {released.year}"
