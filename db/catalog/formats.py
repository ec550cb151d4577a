"""Makes a row to store of one record of a catalogue file, in pure functions.

Two shapes are read. The public streaming-catalogue format has the twelve columns of ``COLUMNS``,
and known mistakes of its publishers are mended; a row of the API is taken unchanged. Both pass
the validation of a POST, so every loaded row could have been posted.
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
_DATE = re.compile(
    rf"(?P<iso>[1-9][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}})(?:[T ]{_TIME})?"
    r"|(?P<month>[A-Za-z]{3,9})\.? (?P<day>[0-9]{1,2}), (?P<year>[1-9][0-9]{3})"
)
_YEAR = re.compile(r"([1-9][0-9]{3})(?:\.0)?")  # pandas writes 2020.0 when a year is missing
_YEAR_IN_TEXT = re.compile(r"(?<![0-9])[1-9][0-9]{3}(?![0-9])")
_TYPE = re.compile(r"(movie)|tv show", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"([0-9]{1,7}) (?:(min)|Seasons?)", re.ASCII | re.IGNORECASE)
# only with a semicolon, because HTML also reads "&not" in "Love &notes", a possible title
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Amazon has a genre with commas in its name, "Arts, Entertainment, and Culture"
_COMMA = re.compile(r",(?!\s*Entertainment, and Culture)(?!\s*and Culture)")


class Malformed(ValueError):
    """The record is not a row. The text is the reason, for the user to mend the file."""


class Catalogue:
    """Names and dates the rows of the catalogue ``name``.

    A record has the same id, version and place in the lists whenever it is imported. A row dated
    after ``today`` is added as if yesterday, because no loaded row may be newer than the API's.
    """

    def __init__(self, name: str, today: date):
        self._namespace = uuid.uuid5(_NAMESPACE, name)
        self._latest = today - timedelta(days=1)
        self._tomorrow_us = ((today - EPOCH).days + 1) * DAY_US

    def id_of(self, key: str) -> str:
        """Return the row's id, so that ``s1`` of one catalogue is not ``s1`` of another."""
        return str(uuid.uuid5(self._namespace, key))

    def dated(self, video_id: str, day: date) -> str:
        """Return the timeuuid of a row that was added on ``day``. Its moment within the day
        follows from its id, so that the order of a day's rows is fixed."""
        day = max(EARLIEST, min(day, self._latest))
        digest = hashlib.blake2b(video_id.encode(), digest_size=16).digest()
        within_us = int.from_bytes(digest[:8], "big") % DAY_US
        return make_version((day - EPOCH).days * DAY_US + within_us, digest[8:])

    def is_past(self, version: str) -> bool:
        """Return whether ``version`` was made by today's end at the latest."""
        return version_us(version) < self._tomorrow_us


def from_json(line: str | bytes, catalogue: Catalogue) -> Stored:
    """Return the row of a JSON line in either shape. Raise Malformed."""
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
    """Return the row of a record that the API served, or of a POST body with or without ``id`` or
    ``show_id``.

    A record with neither is named by its content. A served row keeps its version. Raise Malformed.
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
    """Return the row of the twelve columns; in JSON, lists may be arrays. Raise Malformed."""
    show_id = _text(record, "show_id")
    if show_id is None:
        raise Malformed("show_id is missing")
    year = _year(_text(record, "release_year"))
    length, rating = _text(record, "duration"), _text(record, "rating")
    if rating and _LENGTH.fullmatch(rating):  # Netflix's file has some in the wrong column
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
    """Return the values that a POST of ``body`` would store. Errors name the file's columns."""
    try:
        return parse_draft(body)
    except Invalid as error:
        complaints = (f"{spoken_as.get(e.field, e.field)} {e.message}" for e in error.errors)
        raise Malformed("; ".join(complaints)) from None


def _flat(column: str, value: object) -> str:
    """Return a cell as text, because JSON may hold numbers where CSV has their digits."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value).removesuffix(".0")
    raise Malformed(f"{column} has to be text")


def _clean(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    return text.strip()


def _text(record: Mapping[str, Any], column: str) -> str | None:
    """Return a cell without blanks around it; None if it is empty."""
    return _clean(_flat(column, record.get(column))) or None


def _list(record: Mapping[str, Any], column: str) -> list[str]:
    """Return the elements of a cell. Entities are read last, because they may stand for commas."""
    value = record.get(column)
    if isinstance(value, list):
        elements = [_flat(column, element) for element in value]
    else:
        elements = _COMMA.split(_flat(column, value))
    return [clean for element in elements if (clean := _clean(element))]


def _found(pattern: re.Pattern[str], text: str | None, reason: str) -> re.Match[str] | None:
    """Return the match of the whole ``text``; None for no text. Raise Malformed."""
    if text is None:
        return None
    if found := pattern.fullmatch(text):
        return found
    raise Malformed(reason)


def _is_movie(text: str | None) -> bool:
    found = _found(_TYPE, text or "", "type has to be Movie or TV Show")
    return bool(found and found[1])


def _year(text: str | None) -> str | None:
    found = _found(_YEAR, text, "release_year has to be a year, like 2021")
    return found and found[1]


def _length(text: str | None) -> tuple[int | None, int | None]:
    """Return seconds, for a text in minutes, and seasons."""
    found = _found(_LENGTH, text, "duration has to be like 90 min or 2 Seasons")
    if found is None:
        return None, None
    number = int(found[1])
    return (number * 60, None) if found[2] else (None, number)


def _date(text: str | None) -> date | None:
    reason = "date_added has to be a date, like 2021-09-25 or September 25, 2021"
    found = _found(_DATE, text, reason)
    if found is None:
        return None
    try:
        if found["iso"]:
            return date.fromisoformat(found["iso"])
        return date(int(found["year"]), _MONTHS[found["month"].lower()], int(found["day"]))
    except (KeyError, ValueError):  # no such month, or no such day in it
        raise Malformed(reason) from None


def _new_year(released: str | None) -> date:
    """Return the first of January of the one year that ``released`` names, or else EPOCH."""
    years = _YEAR_IN_TEXT.findall(released or "")
    return date(int(years[0]), 1, 1) if len(years) == 1 else EPOCH
