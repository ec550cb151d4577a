"""Strict readers of a request: ids, query, JSON body, preconditions, Idempotency-Key, cursors."""

from __future__ import annotations

import codecs
import hashlib
import re
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from api.resource import PATCH_TYPES
from db.version import Expected, parse_id
from errors import BadRequest, FieldError, Invalid, NotFound, UnsupportedMediaType
from middleware.onion import Context

PAGE_DEFAULT = 5_000
PAGE_MAX = 10_000
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def path_id(ctx: Context, message: str | None = None) -> str:
    """Return the id in the path. Raise NotFound with ``message`` if the id is malformed."""
    video_id = parse_id(ctx.scope["path_params"]["id"])
    if video_id is None:
        raise NotFound(message)
    return video_id


def query(ctx: Context, name: str) -> str | None:
    """Return the query parameter ``name``; None if absent. Raise BadRequest if it is repeated."""
    values = QueryParams(ctx.scope["query_string"]).getlist(name)
    if len(values) > 1:
        raise BadRequest(f"{name} is there more than once")
    return values[0] if values else None


def query_id(ctx: Context) -> str:
    """Return the id in ``?videoId=`` without quotes around it, which the original accepts.

    Raise BadRequest if the id is missing, NotFound if it is malformed.
    """
    text = query(ctx, "videoId")
    if text is None:
        raise BadRequest("videoId is missing")
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        text = text[1:-1]
    video_id = parse_id(text)
    if video_id is None:
        raise NotFound()
    return video_id


async def read_json(ctx: Context, limit_bytes: int) -> object:
    """Return the body, parsed as JSON.

    Raise TooLarge, UnsupportedMediaType for another media type, or BadRequest, in this order.
    """
    body = await ctx.read(limit_bytes)
    _check_type(ctx)
    codings = (ctx.header(b"content-encoding") or "").lower()
    if codings.replace("identity", "").strip(", \t"):
        raise UnsupportedMediaType("The body must not have a Content-Encoding")
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body:
        raise BadRequest("The body is empty; send a JSON object")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
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


def page_limit(ctx: Context) -> int:
    """Return ``?limit=``. Raise BadRequest unless it is a number from 1 to PAGE_MAX."""
    text = query(ctx, "limit")
    if text is None:
        return PAGE_DEFAULT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= PAGE_MAX:
        raise BadRequest(f"limit has to be a whole number from 1 to {PAGE_MAX:,}")
    return int(text)


def page_start(ctx: Context) -> str | None:
    """Return ``?cursor=``, the last id of the page before; None if absent.

    Raise BadRequest if the cursor is no id. A forged one only names a position, which is public.
    """
    cursor = query(ctx, "cursor")
    if cursor is None:
        return None
    video_id = parse_id(cursor)
    if video_id is None:
        raise BadRequest("The cursor is damaged")
    return video_id
