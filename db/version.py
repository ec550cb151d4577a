"""Ids and versions: how a row is named, how its writes are ordered and made conditional.

A version is a timeuuid, new at every write and later than the one before it. Its microseconds are
the timestamp of everything the write leaves behind, so order in time is order of versions.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from errors import PreconditionFailed
from etags import names

REPRESENTATION = 2
"""Raise it when the bytes of an unchanged row change: it is part of every ETag of a row."""

AHEAD_US = 3_600_000_000

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMBER = re.compile(r'[0-9]+"')
_GREGORIAN_OFFSET_US = 12_219_292_800_000_000  # 1582-10-15 to 1970-01-01, RFC 9562 6.1
_IDEMPOTENCY = uuid.UUID("6f1c3a52-7f6e-5c7e-9a64-2b1d1f0c8a11")


def parse_id(text: str) -> str | None:
    """The canonical lower-case id, or None when ``text`` is not 36 characters of a UUID."""
    lower = text.lower()
    return lower if _UUID.fullmatch(lower) else None


def parse_version(text: object) -> str | None:
    """The canonical version (a timeuuid), or None."""
    version = parse_id(text) if isinstance(text, str) else None
    return version if version and version[14] == "1" and version[19] in "89ab" else None


def etag(row: Mapping[str, Any]) -> str:
    """The strong entity tag of a row: its version and the number of the representation."""
    return f'"{row["lastupdated"]}.{REPRESENTATION}"'


class Expected(NamedTuple):
    """The conditions of a write: two header fields, and the version in a body. None: absent."""

    if_match: str | None = None
    last_updated: str | None = None
    if_none_match: str | None = None

    def check(self, row: Mapping[str, Any]) -> None:
        """Raise PreconditionFailed unless all conditions hold of ``row``. Tags compare by their
        version, because a release that renders rows anew changes no row that a writer has seen."""
        version = row["lastupdated"]
        tag = f'"{version}.'
        if self.last_updated not in (None, version) or (
            self.if_match is not None and not names(self.if_match, tag, weak=False, end=_NUMBER)
        ):
            raise PreconditionFailed(version, etag(row))
        if self.if_none_match is not None and names(
            self.if_none_match, tag, weak=True, end=_NUMBER
        ):
            raise PreconditionFailed(version, etag(row), "If-None-Match names the row as it is")


def version_us(version: str) -> int:
    """When a version was made, in microseconds since 1970: the timestamp of its writes."""
    return uuid.UUID(version).time // 10 - _GREGORIAN_OFFSET_US


def make_version(at_us: int, node: bytes) -> str:
    """The timeuuid of a moment, in microseconds since 1970; 8 bytes ``node`` tell twins apart."""
    ticks = (at_us + _GREGORIAN_OFFSET_US) * 10
    low, mid, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF
    tail = int.from_bytes(node, "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return str(uuid.UUID(int=low << 96 | mid << 80 | (0x1000 | high) << 64 | tail))


def next_version(after: str | None = None) -> str:
    """A new version, later than ``after`` whatever this machine's clock says."""
    now_us = time.time_ns() // 1_000
    return make_version(max(now_us, version_us(after) + 1) if after else now_us, os.urandom(8))


def version_ahead() -> str:
    """Return a version AHEAD_US after this machine's clock: later than any version that a machine
    makes whose clock is less ahead of ours."""
    return make_version(time.time_ns() // 1_000 + AHEAD_US, os.urandom(8))


def new_id(idempotency_key: str | None = None) -> str:
    """A random id, or the one id that belongs to an idempotency key (UUIDv5)."""
    key = idempotency_key
    return str(uuid.uuid4() if key is None else uuid.uuid5(_IDEMPOTENCY, key))
