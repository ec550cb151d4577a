"""Strict readers of a request: ids, query, JSON body, preconditions, Idempotency-Key, cursors."""

import base64
import codecs
import hashlib
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

import orjson

from api.resource import PATCH_TYPES
from cache.keys import IDS_MAX, SEVERAL, is_several
from db.version import Expected, parse_id, parse_version
from errors import BadRequest, FieldError, Invalid, NotFound, UnsupportedMediaType
from middleware.onion import Context

PAGE_DEFAULT = 5_000
PAGE_MAX = 10_000
GENRE_PAGE_MAX = 100
CONTAINERS_MAX, QUOTES_MAX = 1_000, 10_000
"""The most arrays and objects, and the most quotes, of a body that is parsed. A video has four
arrays and objects, and at most 4,000 strings."""
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_CHARSET = re.compile(r';[ \t]*charset="?([^";, \t]*)', re.IGNORECASE)


def path_id(ctx: Context, message: str | None = None) -> str:
    """Return the id in the path. Raise NotFound with ``message`` if the id is malformed."""
    return _id(ctx.scope["path_params"]["id"], message)


def query(ctx: Context, name: str) -> str | None:
    """Return the query parameter ``name``; None if absent. Raise BadRequest if it is repeated."""
    text = ctx.scope["query_string"].decode("latin-1")
    try:
        values = parse_qs(text, keep_blank_values=True, max_num_fields=100).get(name, [])
    except ValueError:
        raise BadRequest("The query has too many parameters") from None
    if len(values) > 1:
        raise BadRequest(f"{name} is there more than once")
    return values[0] if values else None


def query_id(ctx: Context) -> str:
    """Return the id in ``?videoId=`` without quotes around it, which the original accepts.

    Raise BadRequest if the id is missing, NotFound if it is malformed.
    """
    text = query(ctx, "videoId")
    if text is None:
        raise BadRequest("videoId or ids is missing")
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1]
    return _id(text)


def query_ids(ctx: Context) -> list[str] | None:
    """Return the different ids in ``?ids=``, in their order; None if the parameter is absent.

    Raise BadRequest if ``videoId`` is there, too, or unless it has 1 to IDS_MAX ids.
    """
    text = query(ctx, "ids")
    if text is None:
        return None
    if query(ctx, "videoId") is not None:
        raise BadRequest("Only one of videoId and ids can be asked for")
    ids = text.lower()
    if not is_several(SEVERAL + ids):
        raise BadRequest(f"ids has to be 1 to {IDS_MAX} ids of videos, separated by commas")
    return [*dict.fromkeys(ids.split(","))]


def _id(text: str, message: str | None = None) -> str:
    video_id = parse_id(text)
    if video_id is None:
        raise NotFound(message)
    return video_id


async def read_json(ctx: Context, limit_bytes: int) -> object:
    """Return the body, parsed as JSON.

    Raise TooLarge, UnsupportedMediaType for another media type, then BadRequest or Invalid, in this
    order.
    """
    body = await ctx.read(limit_bytes)
    _check_type(ctx)
    codings = (ctx.header(b"content-encoding") or "").lower()
    if codings.replace("identity", "").strip(", \t"):
        raise UnsupportedMediaType("The body must not have a Content-Encoding")
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body:
        raise BadRequest("The body is empty; send a JSON object")
    if _is_crowded(body):
        raise BadRequest("The body has too many arrays and objects")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if _HALF.search(body):  # which is valid by the grammar of JSON
            error = FieldError("", "has half of a surrogate pair")
            raise Invalid("Invalid fields", [error]) from None
        raise BadRequest("The body is not valid JSON in UTF-8") from None


def _check_type(ctx: Context) -> None:
    content_type = ctx.header(b"content-type")
    if content_type is None:
        return
    is_patch = ctx.method == "PATCH"
    types = PATCH_TYPES if is_patch else PATCH_TYPES[:1]
    if content_type.partition(";")[0].strip().lower() not in types:
        curl = f"with curl, -H 'Content-Type: {types[0]}'"
        headers = {"Accept-Patch": ", ".join(types)} if is_patch else None
        raise UnsupportedMediaType(f"The body has to be {' or '.join(types)}: {curl}", headers)
    for charset in _CHARSET.finditer(content_type):
        if charset[1].lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("The body has to be in UTF-8")


def _is_crowded(body: bytes) -> bool:
    """Return whether ``body`` has so many arrays and objects that parsing takes milliseconds."""
    if body.count(b"[") + body.count(b"{") <= CONTAINERS_MAX:
        return False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > QUOTES_MAX:
        return True
    outside = b"".join(plain.split(b'"')[::2])  # brackets inside of strings do not count
    return outside.count(b"[") + outside.count(b"{") > CONTAINERS_MAX


def expected(ctx: Context, last_updated: str | None = None) -> Expected:
    """Return the conditions of a write: two headers, and ``last_updated`` of the body."""
    return Expected(ctx.header(b"if-match"), last_updated, ctx.header(b"if-none-match"))


def idempotency_key(ctx: Context) -> str | None:
    """Return ``Idempotency-Key``; None if absent.

    Raise Invalid if the header is repeated, or has other than 1 to 255 printable ASCII characters.
    """
    key = ctx.header(b"idempotency-key")
    if sum(name == b"idempotency-key" for name, _ in ctx.scope["headers"]) > 1:
        wrong = "is there more than once"
    elif key is None or _KEY.fullmatch(key):
        return key
    else:
        wrong = "has to be 1 to 255 printable ASCII characters"
    error = FieldError("Idempotency-Key", wrong)
    raise Invalid("The Idempotency-Key is malformed", [error])


def request_hash(values: dict[str, Any]) -> str:
    """Return a digest of the checked values of a POST. Two spellings of a body have one digest."""
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def page_limit(ctx: Context, default: int, maximum: int) -> int:
    """Return ``?limit=``. Raise BadRequest unless it is a number from 1 to ``maximum``."""
    text = query(ctx, "limit")
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= maximum:
        raise BadRequest(f"limit has to be a whole number from 1 to {maximum:,}")
    return int(text)


def encode_cursor(place: Sequence[str], store: str, genre: str = "") -> str:
    """Return a cursor for the position after ``place``, the UUIDs that a page ends with.

    The page lists the rows of ``store``, or of one ``genre`` of it. The checksum is no secret,
    because a forged cursor only names a position, which is public.
    """
    raw = b"".join(uuid.UUID(each).bytes for each in place)
    checksum = hashlib.blake2b(raw + genre.encode(), digest_size=4, key=store.encode()).digest()
    return base64.urlsafe_b64encode(raw + checksum).decode().rstrip("=")


def page_after(ctx: Context, size: int, store: str, genre: str = "") -> list[str] | None:
    """Return the place of ``size`` UUIDs in ``?cursor=``; None if the parameter is absent.

    Raise BadRequest if the cursor is damaged, or made for another list.
    """
    cursor = query(ctx, "cursor")
    if cursor is None:
        return None
    with suppress(ValueError):
        raw = base64.urlsafe_b64decode(cursor + "==")
        place = [str(uuid.UUID(bytes=raw[at : at + 16])) for at in range(0, 16 * size, 16)]
        # the place in a genre begins with a timeuuid; Cassandra refuses any other UUID there
        if encode_cursor(place, store, genre) == cursor and (not genre or parse_version(place[0])):
            return place
    raise BadRequest("The cursor is damaged, or from elsewhere")
