"""What Redis gives to those who fill and to those who write; ``scripts.py`` has the rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """``granted``: load and ``fill``. ``held``: another one is at it, and the value may soon be
    there. Neither: a write is under way, so load and do not fill. ``epoch``: the run of Redis."""

    token: str
    epoch: str
    granted: bool
    held: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """A write's mark in Redis, lifted by ``settle``; ``epoch``: the run of Redis that holds it."""

    token: str
    epoch: str
