"""An invented catalogue of any size, in which a row follows from the seed and its number alone.

Rows are the same on every run, machine and Python version, so they are drawn from a hash instead
of ``random``, in whole numbers. A changed word in ``words.json`` changes the rows, not their ids.
"""

import hashlib
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import date
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
_SUMS = list(accumulate(100_000 // (rank + 3) for rank in range(100)))
"""Sums of the weights of the first words of a kind."""


class Generator:
    """The rows of one ``seed``. Another ``catalogue`` name gives the same rows other ids."""

    def __init__(self, seed: int, catalogue: str):
        self._seed = seed
        self._namespace = uuid.uuid5(_NAMESPACE, catalogue)
        self._words: dict[str, list[str]] = orjson.loads(_WORDS.read_bytes())
        self._bits = 0

    def rows(self, count: int) -> Iterator[Stored]:
        return map(self.row, range(count))

    def row(self, index: int) -> Stored:
        """Return the row, drawn from 512 bits that follow from its number and the seed."""
        key = f"{self._seed}/{index}"
        self._bits = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=64).digest(), "big")
        video_id = str(uuid.uuid5(self._namespace, key))
        created_us = FIRST_US + self._below(LAST_US - FIRST_US)
        created = make_version(created_us, self._below(2**62).to_bytes(8, "big"))
        row = build(video_id, created, self._values(video_id, created_us // DAY_US))
        row["description"] = self._story(len(orjson.dumps(row)))
        return Stored(row, created)

    def _values(self, video_id: str, added_day: int) -> dict[str, Any]:
        """Return the fields of a row without its story. Their order is the order of the draws."""
        below = self._below
        is_movie = below(10) < _MOVIES_IN_TEN
        return {
            "title": self._title(),
            "description": "",
            "genres": self._several(3, lambda: self._skewed("genres")),
            "cast": self._several(3, self._name),
            "director": self._name() if is_movie else None,
            "duration": 60 * (75 + below(80)) if is_movie else None,
            "rating": self._skewed("ratings"),
            "releasedate": _date(added_day - below(1 + below(_OLDEST_DAYS))),
            "isoriginal": below(4) == 0,
            "ismovie": is_movie,
            "locationuri": f"/video/{video_id}",
            "thumbnailurl": f"/image/{video_id}",
            "trailerurl": f"/trailer/{video_id}" if below(4) == 0 else None,
            "regions": self._several(2, lambda: self._skewed("regions")),
            "seasons": None if is_movie else 1 + below(1 + below(9)),
        }

    def _below(self, limit: int) -> int:
        self._bits, drawn = divmod(self._bits, limit)
        return drawn

    def _word(self, kind: str) -> str:
        words = self._words[kind]
        return words[self._below(len(words))]

    def _skewed(self, kind: str) -> str:
        """Draw the n-th word in proportion to 1 / (n + 3), as a few genres hold most titles."""
        words = self._words[kind]
        return words[bisect_right(_SUMS, self._below(_SUMS[len(words) - 1]))]

    def _several(self, most: int, draw: Callable[[], str]) -> list[str]:
        return sorted({draw() for _ in range(1 + self._below(most))})

    def _name(self) -> str:
        return f"{self._word('first_names')} {self._word('last_names')}"

    def _title(self) -> str:
        words = {kind: self._word(f"{kind}s") for kind in ("adjective", "noun", "place")}
        number = 1 + self._below(9)
        return self._word("titles").format(**words, number=number)

    def _story(self, size_bytes: int) -> str:
        """Return sentences that bring a row of ``size_bytes`` between smallest and largest."""
        text = f"In {self._word('places')}, {self._word('heroes')} {self._word('deeds')}."
        turns = self._words["turns"]
        longest = max(map(len, turns)) + 1
        wanted = SMALLEST_BYTES + self._below(LARGEST_BYTES - SMALLEST_BYTES - longest)
        turn = self._below(len(turns))
        while len(text) < wanted - size_bytes:
            text += f" {turns[turn % len(turns)]}"
            turn += 1
        return text


def _date(day: int) -> str:
    """Return the date ``day`` days after 1970 as the original writes it: "November 9, 2017"."""
    released = date.fromordinal(EPOCH.toordinal() + day)
    return f"{released:%B} {released.day}, {released.year}"
