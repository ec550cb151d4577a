"""One record of a catalogue file -> a row to store: pure functions, no files.

Two shapes are read. The public streaming-catalogue format has the twelve columns of ``COLUMNS``
and is put right where its publishers got it wrong; a row of the API is taken as it is. Both pass
the check of a POST, so a loaded row could have been posted.
"""

from __future__ import annotations

import calendar
import hashlib
import html
import re
import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import orjson

from db.store import Stored
from db.version import make_version, parse_id, parse_version, version_us
from db.video import build, parse_draft
from errors import Invalid

COLUMNS = (
    *("show_id", "type", "title", "director", "cast", "country", "date_added"),
    *("release_year", "rating", "duration", "listed_in", "description"),
)
DAY_US = 86_400_000_000
EPOCH = date(1970, 1, 1)
EARLIEST = date(1583, 1, 1)
"""A timeuuid counts from October 1582."""

_NAMESPACE = uuid.UUID("b7b5d7a4-5d0e-5b7c-8f0a-6a3a0f4f2c19")
_SPOKEN_AS = {
    "genres": "listed_in",
    "ismovie": "type",
    "regions": "country",
    "releasedate": "release_year",
    "seasons": "duration",
}
_MONTHS = {name.lower(): month for month, name in enumerate(calendar.month_name)}
_MONTHS |= {name[:3]: month for name, month in _MONTHS.items()} | {"sept": 9}
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z| ?[+-][0-9]{2}:?[0-9]{2})?"
_ISO_DATE = re.compile(rf"([1-9][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}})(?:[T ]{_TIME})?")
_US_DATE = re.compile(r"([A-Za-z]{3,9})\.? ([0-9]{1,2}), ([1-9][0-9]{3})")
_YEAR = re.compile(r"([1-9][0-9]{3})(?:\.0)?")  # pandas writes 2020.0 when a year is missing
_YEAR_IN_TEXT = re.compile(r"(?<![0-9])[1-9][0-9]{3}(?![0-9])")
_LENGTH = re.compile(r"([0-9]{1,7}) (min|Seasons?)", re.ASCII | re.IGNORECASE)
# with its semicolon only: HTML also reads "&not" in "Love &notes", which a title may well say
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# one genre of Amazon's has commas in its name: "Arts, Entertainment, and Culture"
_GENRE_COMMA = re.compile(r",(?!\s*Entertainment, and Culture)(?!\s*and Culture)")


class Malformed(ValueError):
    """A record that is no row; the text is the reason, for whoever has to mend the file."""


class Catalogue:
    """Names and dates the rows of the catalogue ``name``.

    The same record has the same id, version and place in the lists whenever it is imported. A row
    dated after ``today`` is added as if yesterday: nothing may be newer than what the API writes.
    """

    def __init__(self, name: str, today: date):
        self._namespace = uuid.uuid5(_NAMESPACE, name)
        self._latest = today - timedelta(days=1)
        self._tomorrow_us = ((today - EPOCH).days + 1) * DAY_US

    def id_of(self, key: str) -> str:
        """The row's id: ``s1`` of one catalogue is not ``s1`` of another."""
        return str(uuid.uuid5(self._namespace, key))

    def dated(self, video_id: str, day: date) -> str:
        """The timeuuid of a row that was added on ``day``. Titles of one day get moments within
        it that follow from their ids, so that their order is fixed."""
        day = max(EARLIEST, min(day, self._latest))
        digest = hashlib.blake2b(video_id.encode(), digest_size=16).digest()
        within_us = int.from_bytes(digest[:8], "big") % DAY_US
        return make_version((day - EPOCH).days * DAY_US + within_us, digest[8:])

    def is_past(self, version: str) -> bool:
        """Whether ``version`` was made by today's end at the latest."""
        return version_us(version) < self._tomorrow_us


def from_json(line: str | bytes, catalogue: Catalogue) -> Stored:
    """A row of a JSON line in either shape. Raises Malformed."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise Malformed("is not a JSON object")
    if "listed_in" in record or "type" in record:
        return from_columns(record, catalogue)
    return from_row(record, catalogue)


def from_row(record: Mapping[str, Any], catalogue: Catalogue) -> Stored:
    """A row as the API serves it, or a POST body that may have ``id`` or ``show_id`` beside it.

    What has neither is named by its content. A served row keeps its version. Raises Malformed.
    """
    values = dict(record)
    given_id, show_id = values.pop("id", None), values.pop("show_id", None)
    version = values.pop("lastupdated", None)
    if given_id is not None:
        video_id = parse_id(given_id) if isinstance(given_id, str) else None
        if video_id is None:
            raise Malformed("id has to be a UUID")
    else:
        content = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
        video_id = catalogue.id_of(_text({"show_id": show_id}, "show_id") or content)
    draft = _checked(values, {})
    created = parse_version(version)
    if version is None:
        created = catalogue.dated(video_id, _new_year(draft["releasedate"]))
    elif created is None:
        raise Malformed("lastupdated has to be a version (timeuuid)")
    elif not catalogue.is_past(created):
        created = catalogue.dated(video_id, date.max)
    return Stored(build(video_id, created, draft), created)


def from_columns(record: Mapping[str, Any], catalogue: Catalogue) -> Stored:
    """A row of the twelve columns; in JSON, lists may be arrays. Raises Malformed."""
    show_id = _text(record, "show_id")
    if show_id is None:
        raise Malformed("show_id is missing")
    year = _year(_text(record, "release_year"))
    length, rating = _text(record, "duration"), _text(record, "rating")
    if rating and _LENGTH.fullmatch(rating):  # a column too far to the left, in Netflix's file
        length, rating = length or rating, None
    duration_s, seasons = _length(length)
    body = {
        "title": _text(record, "title"),
        "description": _text(record, "description"),
        "genres": _list(record, "listed_in"),
        "cast": _list(record, "cast"),
        "director": _text(record, "director"),
        "duration": duration_s,
        "rating": rating,
        "releasedate": year,
        "ismovie": _is_movie(_text(record, "type")),
        "regions": _list(record, "country"),
        "seasons": seasons,
    }
    added = _date(_text(record, "date_added")) or _new_year(year)
    video_id = catalogue.id_of(show_id)
    created = catalogue.dated(video_id, added)
    return Stored(build(video_id, created, _checked(body, _SPOKEN_AS)), created)


def _checked(body: dict[str, Any], spoken_as: Mapping[str, str]) -> dict[str, Any]:
    """The values that a POST of ``body`` would store; complaints name the file's columns."""
    try:
        return parse_draft(body)
    except Invalid as error:
        complaints = (f"{spoken_as.get(e.field, e.field)} {e.message}" for e in error.errors)
        raise Malformed("; ".join(complaints)) from None


def _flat(column: str, value: object) -> str:
    """A cell as text: JSON may hold numbers where CSV has their digits."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Malformed(f"{column} has to be text")


def _clean(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return text.strip()


def _text(record: Mapping[str, Any], column: str) -> str | None:
    """A cell without blanks around it; None when nothing is left."""
    return _clean(_flat(column, record.get(column))) or None


def _list(record: Mapping[str, Any], column: str) -> list[str]:
    """The elements of a cell, entities read after the split, since they may stand for commas."""
    value = record.get(column)
    if isinstance(value, list):
        elements = [_flat(column, element) for element in value]
    elif column == "listed_in":
        elements = _GENRE_COMMA.split(_flat(column, value))
    else:
        elements = _flat(column, value).split(",")
    return [clean for element in elements if (clean := _clean(element))]


def _is_movie(text: str | None) -> bool:
    kind = (text or "").casefold()
    if kind not in ("movie", "tv show"):
        raise Malformed("type has to be Movie or TV Show")
    return kind == "movie"


def _year(text: str | None) -> str | None:
    if text is None:
        return None
    if found := _YEAR.fullmatch(text):
        return found[1]
    raise Malformed("release_year has to be a year, like 2021")


def _length(text: str | None) -> tuple[int | None, int | None]:
    """Seconds, for a text in minutes, and seasons."""
    if text is None:
        return None, None
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise Malformed("duration has to be like 90 min or 2 Seasons")
    number = int(found[1])
    return (number * 60, None) if found[2].lower() == "min" else (None, number)


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if found := _ISO_DATE.fullmatch(text):
            return date.fromisoformat(found[1])
        if found := _US_DATE.fullmatch(text):
            return date(int(found[3]), _MONTHS[found[1].lower()], int(found[2]))
    except (KeyError, ValueError):
        pass  # no such month, or no such day in it
    raise Malformed("date_added has to be a date, like 2021-09-25 or September 25, 2021")


def _new_year(released: str | None) -> date:
    """The first of January of the one year that the text ``released`` names, or else EPOCH."""
    years = _YEAR_IN_TEXT.findall(released or "")
    return date(int(years[0]), 1, 1) if len(years) == 1 else EPOCH
