"""The commands ``import``, ``generate``, ``repair`` and ``renew`` against the service's store."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from functools import partial

from config import Config
from db.catalog.files import TextFile
from db.catalog.formats import Catalogue
from db.catalog.generator import Generator
from db.catalog.loading import Loader
from db.catalog.patience import Interrupt, Patience
from db.catalog.progress import Progress
from db.catalog.reading import Bad, Item, rows
from db.catalog.repair import Repair, Stopped
from db.open import open_store
from db.store import RepairableStore
from errors import Late, Unavailable

UP_S = 120.0
LEAST_DEADLINE_S = 10.0
"""Deadline of a request to the store, because no user waits and a late batch is sent again."""
SHOWN = 20
BEGUN, FINISHED = "begun", "finished"
"""The notes that an import leaves in the store, before its first row and after its last one."""


class Failed(Exception):
    """The command could not be done, for the reason in the text. The exit status is 1."""


async def run(args: argparse.Namespace, file: TextFile | None) -> int:
    """Run ``args.command``, close ``file`` and return the exit status.

    Raise Failed, Unreadable and ConfigError. A failure after a signal is explained by the signal.
    """
    again = "" if args.command == "repair" else "; the same command goes on from here"
    status = 0
    with Interrupt() as interrupt, closing(file) if file else nullcontext():
        try:
            status = await _Command(args, file, interrupt).run()
        except (Failed, Stopped, Unavailable, Late) as error:
            if not interrupt.signal:
                raise Failed(f"{error}{again}") from error
    if interrupt.signal:
        print(f"stopped{again}", file=sys.stderr)
        return 128 + interrupt.signal
    return status


class _Command:
    """One run of a command."""

    def __init__(self, args: argparse.Namespace, file: TextFile | None, interrupt: Interrupt):
        self._args, self._file, self._interrupt = args, file, interrupt
        self._patience = Patience(interrupt.stop)
        total = file.total_bytes if file else getattr(args, "rows", None)
        unit = "records" if args.command == "repair" else "rows"
        self._out = Progress(sys.stderr, total, unit)

    async def run(self) -> int:
        config = Config.from_env(os.environ)
        deadline_s = max(config.store_deadline_s, LEAST_DEADLINE_S)
        self._store = open_store(dataclasses.replace(config, store_deadline_s=deadline_s))
        await self._store.open()
        try:
            await self._up()
            return await self._do()
        finally:
            self._out.close()
            await self._store.close()

    async def _up(self) -> None:
        """Wait until the store is up. Raise Failed after UP_S."""
        told = ""
        for tenths in itertools.count():
            state, reason = self._store.state()
            if state == "up":
                return
            if tenths > 10 * UP_S or await self._patience.sleep(0.1):
                raise Failed(f"the store is not up: {reason}")
            if tenths > 10 and reason != told:
                told = reason
                self._out.say(f"waiting for the store: {reason}")

    async def _do(self) -> int:
        args = self._args
        if args.command == "repair":
            return await self._repair()
        if args.command == "renew":
            await self._patience(self._store.renew_identity)
            print("the store has another identity: start the service now")
            return 0
        if self._file is None:
            return await self._load(Generator(args.seed, args.catalogue).rows(args.rows))
        catalogue = Catalogue(args.catalogue, datetime.now(UTC).date())
        return await self._import(rows(self._file, catalogue))

    async def _import(self, items: Iterator[Item]) -> int:
        """Import a file. With ``--if-empty``, begin in an empty store only, and go on with an
        earlier run of the same catalogue that was not finished."""
        if self._args.if_empty and (why := await self._why_not()):
            print(f"{why}: nothing imported")
            return 0
        await self._note(BEGUN)
        status = await self._load(items)
        if not self._interrupt.signal:
            await self._note(FINISHED)
        return status

    async def _why_not(self) -> str:
        """Return why ``--if-empty`` has nothing to do; an empty text if there is work.

        Two imports may run at once. An import writes its note before its rows, and here the rows
        are read before the note: rows without a note are then not of this catalogue.
        """
        has_rows = bool(await self._patience(partial(self._store.ids, None, 1)))
        note = await self._patience(partial(self._store.note, self._note_name))
        if note == FINISHED:
            return "this catalogue was imported before"
        if has_rows and note is None:
            return "the store has rows already, and none of this catalogue"
        return ""

    @property
    def _note_name(self) -> str:
        return f"import of {self._args.catalogue}"

    async def _note(self, value: str) -> None:
        await self._patience(partial(self._store.set_note, self._note_name, value))

    async def _load(self, items: Iterator[Item]) -> int:
        def show() -> None:
            self._out.update(loader.done, self._file.position() if self._file else loader.done)

        def report(bad: Bad) -> None:
            if loader.malformed <= SHOWN:
                self._out.say(f"line {bad.line}: {bad.reason}")

        loader = Loader(self._store, self._patience, report, show)
        try:
            await loader.run(self._interrupt.guard(items))
        finally:
            self._out.close()
            if loader.malformed > SHOWN:
                self._out.say(f"... and {loader.malformed - SHOWN:,} more malformed lines")
            counts = f"added {loader.added:,}, already there {loader.there:,}"
            print(f"{counts}, malformed {loader.malformed:,}", flush=True)
        return 2 if loader.malformed else 0

    async def _repair(self) -> int:
        if not isinstance(self._store, RepairableStore):
            print("nothing to repair: the store writes a row and its lists in one transaction")
            return 0

        def show() -> None:
            self._out.update(repair.seen, repair.seen)

        repair = Repair(self._store, self._patience, show)
        try:
            await repair.run(self._args.after and str(self._args.after))
        except (Stopped, Unavailable, Late):
            after = f" --after {repair.after}" if repair.after else ""
            self._out.say(f"to go on: python -m db.catalog repair{after}")
            raise
        finally:
            self._out.close()
            read = f"read {repair.rows:,} rows and {repair.lines:,} lines of lists"
            print(f"{read}; wrote {repair.put:,}, dropped {repair.dropped:,}", flush=True)
        return 0
