"""Rights that Redis grants to a reader and to a writer, by ``cache/redis/scripts.py``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The reply to a reader that found no value.

    If ``granted``, load and ``fill``. If ``held``, another reader loads the value, which may soon
    be there. If neither, a write is under way, so load and do not fill. ``epoch`` is the run of
    Redis that replied.
    """

    token: str
    epoch: str
    granted: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """A writer's mark in Redis, which ``settle`` lifts. ``epoch`` is the run of Redis that holds
    the mark."""

    token: str
    epoch: str
