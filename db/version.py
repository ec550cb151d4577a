"""Ids, versions and conditions: they name rows, order writes and make writes conditional.

A version is a timeuuid, new at every write of a row and later than the row's version before. Its
microseconds are the timestamp of the write's lines, so lines obey the order of versions.
"""

import os
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from errors import PreconditionFailed
from etags import names

REPRESENTATION = 2
"""Part of every row's ETag: raise this number when the bytes of an unchanged row change."""

AHEAD_US = 3_600_000_000

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(UUID)
_NUMBER = re.compile(r'[0-9]+"')
_GREGORIAN_OFFSET_US = 12_219_292_800_000_000  # 1582-10-15 to 1970-01-01, RFC 9562 6.1
_IDEMPOTENCY = uuid.UUID("6f1c3a52-7f6e-5c7e-9a64-2b1d1f0c8a11")


def parse_id(text: str) -> str | None:
    """Return ``text`` as a lower-case id, or None if it is not 36 characters of a UUID."""
    lower = text.lower()
    return lower if _ID.fullmatch(lower) else None


def parse_version(text: object) -> str | None:
    """Return ``text`` as a lower-case version, or None if it is no timeuuid."""
    version = parse_id(text) if isinstance(text, str) else None
    return version if version and version[14] == "1" and version[19] in "89ab" else None


def etag(row: Mapping[str, Any]) -> str:
    """Return the strong entity tag of a row: its version and REPRESENTATION."""
    return f'"{row["lastupdated"]}.{REPRESENTATION}"'


class Expected(NamedTuple):
    """The conditions of a write: two headers, and ``lastUpdated`` of the body. None: absent."""

    if_match: str | None = None
    last_updated: str | None = None
    if_none_match: str | None = None

    def check(self, row: Mapping[str, Any]) -> None:
        """Raise PreconditionFailed unless all conditions hold for ``row``.

        Tags are compared by their version alone, because a release with another REPRESENTATION
        changes no row.
        """
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
    """Return the time of a version in microseconds since 1970, the timestamp of its lines."""
    return uuid.UUID(version).time // 10 - _GREGORIAN_OFFSET_US


def make_version(at_us: int, node: bytes) -> str:
    """Return the timeuuid of ``at_us`` (since 1970); 8 bytes ``node`` distinguish equal times."""
    ticks = (at_us + _GREGORIAN_OFFSET_US) * 10
    low, mid, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF
    tail = int.from_bytes(node, "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return str(uuid.UUID(int=low << 96 | mid << 80 | (0x1000 | high) << 64 | tail))


def next_version(after: str | None = None) -> str:
    """Return a new version that is later than ``after``, even if this machine's clock is behind."""
    now_us = time.time_ns() // 1_000
    return make_version(max(now_us, version_us(after) + 1) if after else now_us, os.urandom(8))


def version_ahead(after: str) -> str:
    """Return a version AHEAD_US after this machine's clock, and later than ``after``.

    It is later than any version that a machine makes whose clock is less ahead of ours.
    """
    ahead_us = time.time_ns() // 1_000 + AHEAD_US
    return make_version(max(ahead_us, version_us(after) + 1), os.urandom(8))


def new_id(idempotency_key: str | None = None) -> str:
    """Return a random id, or the one id that belongs to an idempotency key (UUIDv5)."""
    key = idempotency_key
    return str(uuid.uuid4() if key is None else uuid.uuid5(_IDEMPOTENCY, key))
