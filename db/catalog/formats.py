"""Makes a row to store of one record of a catalogue file, in pure functions.

Two shapes are read. The public streaming-catalogue format has the twelve columns of ``COLUMNS``,
and known mistakes of its publishers are mended; a row of the API is taken unchanged. Both pass
the validation of a POST, so every loaded row could have been posted.
"""

import calendar
import hashlib
import html
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
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
_LISTS = ("cast", "country", "listed_in")
DAY_US = 86_400_000_000
EPOCH = date(1970, 1, 1)
EARLIEST = date(1583, 1, 1)
"""A timeuuid counts from October 1582."""

_NAMESPACE = uuid.UUID("b7b5d7a4-5d0e-5b7c-8f0a-6a3a0f4f2c19")
# the fields that can be wrong and have another name than their column
_COLUMN_OF = {"genres": "listed_in", "regions": "country", "seasons": "duration"}
_IS_MOVIE = {"movie": True, "tv show": False}
_MONTHS = {name.lower(): month for month, name in enumerate(calendar.month_name)}
_MONTHS |= {name[:3]: month for name, month in _MONTHS.items()} | {"sept": 9}
_NAMED_DAY = re.compile(r"([A-Za-z]+)\.? ([0-9]{1,2}), ([1-9][0-9]{3})")
_ISO_DAY = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}")
_LENGTH = r"(?ai:([0-9]{1,7}) min|([0-9]{1,7}) seasons?)"
_YEAR = r"([1-9][0-9]{3})(?:\.0)?"  # pandas writes 2020.0 when a year is missing
_YEAR_IN_TEXT = re.compile(r"(?<![0-9])[1-9][0-9]{3}(?![0-9])")
# only with a semicolon, because HTML also reads "&not" in "Love &notes", a possible title
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Amazon has a genre with commas in its name, "Arts, Entertainment, and Culture"
_COMMA = re.compile(r",(?!\s*(?:Entertainment, )?and Culture)")


class Malformed(ValueError):
    """The record is not a row. The text is the reason, for the user to mend the file."""


class Catalogue:
    """Names and dates the rows of the catalogue ``name``.

    A record has the same id, version and place in the lists whenever it is imported. A row dated
    after ``today`` is added as if yesterday, because no loaded row may be newer than the API's.
    """

    def __init__(self, name: str, today: date):
        self._namespace = uuid.uuid5(_NAMESPACE, name)
        self._today = today

    def id_of(self, key: str) -> str:
        """Return the row's id, so that ``s1`` of one catalogue is not ``s1`` of another."""
        return str(uuid.uuid5(self._namespace, key))

    def dated(self, video_id: str, day: date) -> str:
        """Return the timeuuid of a row that was added on ``day``.

        Its moment within the day follows from its id, so that the order of a day's rows is fixed.
        """
        day = max(EARLIEST, min(day, self._today - timedelta(days=1)))
        digest = hashlib.blake2b(video_id.encode(), digest_size=16).digest()
        within_us = int.from_bytes(digest[:8], "big") % DAY_US
        return make_version((day - EPOCH).days * DAY_US + within_us, digest[8:])

    def is_past(self, version: str) -> bool:
        """Return whether ``version`` was made by today's end at the latest."""
        return version_us(version) // DAY_US <= (self._today - EPOCH).days


def from_json(line: str | bytes, catalogue: Catalogue) -> Stored:
    """Return the row of a JSON line in either shape. Raise Malformed."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise Malformed("is not a JSON object")
    return from_record(record, catalogue)


def from_record(record: Mapping[str, Any], catalogue: Catalogue) -> Stored:
    """Return the row of a record in either shape. Raise Malformed, which names its columns."""
    has_columns = "listed_in" in record or "type" in record
    try:
        return (_from_columns if has_columns else _from_row)(record, catalogue)
    except Invalid as error:
        spelled = _COLUMN_OF if has_columns else {}
        complaints = (f"{spelled.get(e.field, e.field)} {e.message}" for e in error.errors)
        raise Malformed("; ".join(complaints)) from None


def _from_row(record: Mapping[str, Any], catalogue: Catalogue) -> Stored:
    """Return the row of a record that the API served, or of a POST body.

    A POST body may have ``id`` or ``show_id``. A record with neither is named by its content. A
    served row keeps its version. Raise Malformed and Invalid.
    """
    ours = ("id", "show_id", "lastupdated")
    values = {key: value for key, value in record.items() if key not in ours}
    draft = parse_draft(values)  # first, because orjson reads deeper arrays than it writes
    if record.get("id") is None:
        content = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
        video_id = catalogue.id_of(_text(record, "show_id") or content)
    elif (given := parse_id(str(record["id"]))) is not None:
        video_id = given
    else:
        raise Malformed("id has to be a UUID")
    version = record.get("lastupdated")
    created = parse_version(version)
    if version is None:
        created = catalogue.dated(video_id, _new_year(draft["releasedate"]))
    elif created is None:
        raise Malformed("lastupdated has to be a version (timeuuid)")
    elif not catalogue.is_past(created):
        created = catalogue.dated(video_id, date.max)
    return Stored(build(video_id, created, draft), created)


def _from_columns(record: Mapping[str, Any], catalogue: Catalogue) -> Stored:
    """Return the row of the twelve columns. Raise Malformed and Invalid."""
    if not (show_id := _text(record, "show_id")):
        raise Malformed("show_id is missing")
    texts = {column: _text(record, column) for column in COLUMNS if column not in _LISTS}
    if re.fullmatch(_LENGTH, texts["rating"]):
        # Netflix's file has some in the wrong column
        texts |= {"duration": texts["duration"] or texts["rating"], "rating": ""}
    is_movie = _IS_MOVIE.get(texts["type"].lower())
    if is_movie is None:
        raise Malformed("type has to be Movie or TV Show")
    (year,) = _groups(texts, "release_year", _YEAR, "a year, like 2021")
    minutes, seasons = _groups(texts, "duration", _LENGTH, "like 90 min or 2 Seasons")
    body = {
        "title": texts["title"] or None,
        "description": texts["description"] or None,
        "genres": _list(record, "listed_in"),
        "cast": _list(record, "cast"),
        "director": texts["director"] or None,
        "duration": minutes and 60 * int(minutes),
        "rating": texts["rating"] or None,
        "releasedate": year,
        "ismovie": is_movie,
        "regions": _list(record, "country"),
        "seasons": seasons and int(seasons),
    }
    video_id = catalogue.id_of(show_id)
    created = catalogue.dated(video_id, _date(texts["date_added"]) or _new_year(year))
    return Stored(build(video_id, created, parse_draft(body)), created)


def _flat(column: str, value: object) -> str:
    """Return a cell as text, because JSON may hold numbers where CSV has their digits."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value).removesuffix(".0")
    raise Malformed(f"{column} has to be text")


def _clean(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text).strip()


def _text(record: Mapping[str, Any], column: str) -> str:
    """Return a cell without blanks around it."""
    return _clean(_flat(column, record.get(column)))


def _list(record: Mapping[str, Any], column: str) -> list[str]:
    """Return the elements of a cell. Entities are read last, because they may stand for commas."""
    value = record.get(column)
    elements = value if isinstance(value, list) else _COMMA.split(_flat(column, value))
    return [clean for element in elements if (clean := _clean(_flat(column, element)))]


def _groups(texts: Mapping[str, str], column: str, pattern: str, like: str) -> Sequence[str | None]:
    """Return the groups of ``pattern`` in a cell, all None for an empty cell.

    Raise Malformed if the cell is something else.
    """
    if found := re.fullmatch(f"(?:{pattern})?", texts[column]):
        return found.groups()
    raise Malformed(f"{column} has to be {like}")


def _date(text: str) -> date | None:
    with suppress(KeyError, ValueError):  # no such month, or no such day in it
        if not text:
            return None
        if found := _NAMED_DAY.fullmatch(text):
            return date(int(found[3]), _MONTHS[found[1].lower()], int(found[2]))
        if _ISO_DAY.match(text):
            return datetime.fromisoformat(text).date()
    raise Malformed("date_added has to be a date, like 2021-09-25 or September 25, 2021")


def _new_year(released: str | None) -> date:
    """Return the first of January of the one year that ``released`` names, or else EPOCH."""
    years = _YEAR_IN_TEXT.findall(released or "")
    return date(int(years[0]), 1, 1) if len(years) == 1 else EPOCH
