"""Strict readers of a request: ids, query, JSON body, preconditions, Idempotency-Key, cursors."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import orjson

from api.resource import PATCH_TYPES
from db.version import Expected, parse_id
from errors import BadRequest, FieldError, Invalid, NotFound, UnsupportedMediaType
from middleware.onion import Context

PAGE_DEFAULT = 5_000
PAGE_MAX = 10_000
CONTAINERS_MAX, QUOTES_MAX = 1_000, 10_000
"""The most arrays and objects, and the most quotes, of a body that is parsed. A video has four
arrays and objects, and at most 4,000 strings."""
TOKENS_MAX = 3_000
"""The most commas of an invalid body that Python's slower parser reads to find the fault."""
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_CHARSET = re.compile(r';[ \t]*charset="?([^";, \t]*)', re.IGNORECASE)
_CHECKSUM_BYTES = 4


def path_id(ctx: Context, message: str | None = None) -> str:
    """Return the id in the path. Raise NotFound with ``message`` if the id is malformed."""
    video_id = parse_id(ctx.scope["path_params"]["id"])
    if video_id is None:
        raise NotFound(message)
    return video_id


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
    """Return the id in ``?videoId=`` without quotes around it, which the original accepts. Raise
    BadRequest if the id is missing, NotFound if it is malformed."""
    text = query(ctx, "videoId")
    if text is None:
        raise BadRequest("videoId is missing")
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1]
    video_id = parse_id(text)
    if video_id is None:
        raise NotFound()
    return video_id


async def read_json(
    ctx: Context, limit_bytes: int, types: Sequence[str] = ("application/json",)
) -> object:
    """Return the body, parsed as JSON. Raise TooLarge, UnsupportedMediaType unless the media type
    is one of ``types``, then BadRequest or Invalid, in this order."""
    body = await ctx.read(limit_bytes)
    content_type = ctx.header(b"content-type")
    if content_type is not None:
        _check_type(content_type, types)
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
        return _lenient(body)


def _check_type(content_type: str, types: Sequence[str]) -> None:
    media = content_type.partition(";")[0].strip().lower()
    if media not in types:
        message = f"The body has to be {' or '.join(types)}"
        curl = f"with curl, -H 'Content-Type: {types[0]}'"
        patch = {"Accept-Patch": ", ".join(types)} if types == PATCH_TYPES else None
        raise UnsupportedMediaType(f"{message}: {curl}", patch)
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


def _lenient(body: bytes) -> object:
    """Parse a body that orjson refuses. Half of a surrogate pair is valid by the grammar of JSON,
    so the answer to it is 422. Raise BadRequest if the body is no JSON at all."""
    if body.count(b",") > TOKENS_MAX:  # Python's own parser takes 3 ms for 64 KiB
        if _HALF.search(body):
            raise Invalid("Invalid fields", [FieldError("", "has half of a surrogate pair")])
        raise BadRequest("The body is not valid JSON in UTF-8")

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def number(digits: str) -> float:
        # int() refuses thousands of digits, which are valid JSON
        return int(digits) if len(digits) < 20 else float(digits)

    try:
        return json.loads(body.decode(), parse_constant=refuse, parse_int=number)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BadRequest("The body is not valid JSON in UTF-8") from None


def expected(ctx: Context, last_updated: str | None = None) -> Expected:
    """Return the conditions of a write: two headers, and ``last_updated`` of the body."""
    return Expected(ctx.header(b"if-match"), last_updated, ctx.header(b"if-none-match"))


def idempotency_key(ctx: Context) -> str | None:
    """Return ``Idempotency-Key``; None if absent. Raise Invalid if the header is repeated, or has
    other than 1 to 255 printable ASCII characters."""
    key = ctx.header(b"idempotency-key")
    wrong = ""
    if key is not None and not _KEY.fullmatch(key):
        wrong = "has to be 1 to 255 printable ASCII characters"
    if sum(name == b"idempotency-key" for name, _ in ctx.scope["headers"]) > 1:
        wrong = "is there more than once"
    if wrong:
        error = FieldError("Idempotency-Key", wrong)
        raise Invalid("The Idempotency-Key is malformed", [error])
    return key


def request_hash(values: dict[str, Any]) -> str:
    """Return a digest of the checked values of a POST. Two spellings of a body have one digest."""
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def page_limit(ctx: Context) -> int:
    """Return ``?limit=``. Raise BadRequest unless it is a number from 1 to PAGE_MAX."""
    text = query(ctx, "limit")
    if text is None:
        return PAGE_DEFAULT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= PAGE_MAX:
        raise BadRequest(f"limit has to be a whole number from 1 to {PAGE_MAX:,}")
    return int(text)


def encode_cursor(video_id: str, store: str) -> str:
    """Return a cursor for the position after ``video_id`` in the order of ids of ``store``."""
    raw = uuid.UUID(video_id).bytes
    return base64.urlsafe_b64encode(raw + _checksum(raw, store)).decode().rstrip("=")


def decode_cursor(cursor: str, store: str) -> str:
    """Return the id in ``cursor``. Raise BadRequest if it is damaged, or made for another store.
    The checksum is no secret, because a forged cursor only names a position, which is public."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        video_id = str(uuid.UUID(bytes=data[:-_CHECKSUM_BYTES]))
    except (binascii.Error, ValueError):
        raise BadRequest("The cursor is malformed") from None
    if encode_cursor(video_id, store) != cursor:
        raise BadRequest("The cursor is damaged, or from elsewhere")
    return video_id


def _checksum(raw: bytes, store: str) -> bytes:
    return hashlib.blake2b(raw, digest_size=_CHECKSUM_BYTES, key=store.encode()).digest()
