"""The catalogue from the command line: ``python -m db.catalog import | generate | repair | renew``.

The environment chooses the store, as it does for the service. Status 0: done. 1: not done, or not
to the end, for the reason given. 2: done, but for malformed lines. 130 (143): stopped by a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from config import Config, ConfigError
from db.catalog.arguments import parse
from db.catalog.files import TextFile, Unreadable
from db.catalog.formats import Catalogue
from db.catalog.generator import Generator
from db.catalog.interrupt import Interrupt
from db.catalog.loading import Loader
from db.catalog.patience import Patience
from db.catalog.progress import Progress
from db.catalog.reading import Bad, Item, rows
from db.catalog.repair import Repair, Stopped
from db.open import open_store
from db.store import CatalogueStore
from errors import Late, Unavailable

UP_S = 120.0
LEAST_DEADLINE_S = 10.0
"""Of a request to the store: nobody waits for it, and a batch that is given up is sent anew."""
SHOWN = 20
BEGUN, FINISHED = "begun", "finished"
"""The notes that an import leaves in the store, before its first row and after its last one."""


class Failed(Exception):
    """What the user is told, in a line; the exit status is 1."""


async def opened(config: Config, patience: Patience, progress: Progress) -> CatalogueStore:
    """The store, once it is up. Raises Failed after UP_S."""
    deadline_s = max(config.store_deadline_s, LEAST_DEADLINE_S)
    store = open_store(dataclasses.replace(config, store_deadline_s=deadline_s))
    await store.open()
    loop = asyncio.get_running_loop()
    begun, told = loop.time(), ""
    while store.state()[0] != "up":
        reason = store.state()[1]
        waited_s = loop.time() - begun
        if await patience.sleep(0.1) or waited_s > UP_S:
            await store.close()
            raise Failed(f"the store is not up: {reason}")
        if waited_s > 1 and reason != told:
            told = reason
            progress.say(f"waiting for the store: {reason}")
    return store


class Command:
    """One run of ``import``, ``generate`` or ``repair`` against an open store."""

    def __init__(
        self, args: argparse.Namespace, store: CatalogueStore, patience: Patience, out: Progress
    ):
        self._args = args
        self._store = store
        self._patience = patience
        self._out = out
        self._bad = 0

    async def fill(self, items: Iterator[Item], file: TextFile) -> int:
        """Import the catalogue; with ``--if-empty``, begin only in a store that is empty, and go
        on with what an earlier run of the same catalogue did not finish."""
        if self._args.if_empty and (why := await self._why_not()):
            print(f"{why}: nothing imported")
            return 0
        await self._note(BEGUN)
        status = await self.load(items, file)
        if not self._patience.stop.is_set():
            await self._note(FINISHED)
        return status

    async def _why_not(self) -> str:
        """Return why ``--if-empty`` has nothing to do; an empty text if it has.

        Two imports may run at once. Rows are looked for before the note is read, because an
        import writes its note before its rows: rows without a note are not of this catalogue.
        """
        has_rows = bool(await self._patience(lambda: self._store.ids(None, 1)))
        note = await self._patience(lambda: self._store.note(self._note_name))
        if note == FINISHED:
            return "this catalogue was imported before"
        if has_rows and note is None:
            return "the store has rows already, and none of this catalogue"
        return ""

    @property
    def _note_name(self) -> str:
        return f"import of {self._args.catalogue}"

    async def _note(self, value: str) -> None:
        await self._patience(lambda: self._store.set_note(self._note_name, value))

    async def load(self, items: Iterator[Item], file: TextFile | None) -> int:
        def show() -> None:
            self._out.update(loader.done, file.position() if file else loader.done)

        loader = Loader(self._store, self._patience, self._report, show)
        try:
            await loader.run(items)
        finally:
            self._out.close()
            if self._bad > SHOWN:
                self._out.say(f"... and {self._bad - SHOWN:,} more malformed lines")
            counts = f"added {loader.added:,}, already there {loader.there:,}"
            print(f"{counts}, malformed {loader.malformed:,}", flush=True)
        return 2 if loader.malformed else 0

    def _report(self, bad: Bad) -> None:
        self._bad += 1
        if self._bad <= SHOWN:
            self._out.say(f"line {bad.line}: {bad.reason}")

    async def repair(self) -> int:
        def show() -> None:
            self._out.update(repair.seen, repair.seen)

        repair = Repair(self._store, self._patience, show)
        try:
            await repair.run(self._args.after)
        except (Stopped, Unavailable, Late):
            after = f" --after {repair.after}" if repair.after else ""
            self._out.say(f"to go on: python -m db.catalog repair{after}")
            raise
        finally:
            self._out.close()
            read = f"read {repair.rows:,} rows and {repair.lines:,} lines of lists"
            print(f"{read}; wrote {repair.put:,}, dropped {repair.dropped:,}", flush=True)
        return 0


def _items(args: argparse.Namespace, file: TextFile | None) -> Iterator[Item]:
    """Reads nothing yet: the first line may be long in coming, too."""
    if file is None:
        yield from Generator(args.seed, args.catalogue).rows(args.rows)
    else:
        yield from rows(file, Catalogue(args.catalogue, datetime.now(UTC).date()))


async def _run(args: argparse.Namespace, file: TextFile | None) -> int:
    """The exit status. A signal explains whatever failed after it."""
    patience = Patience(asyncio.Event())
    total = file.total_bytes if file else getattr(args, "rows", None)
    out = Progress(sys.stderr, total, "records" if args.command == "repair" else "rows")
    again = "" if args.command == "repair" else "; the same command goes on from here"
    with Interrupt(patience.stop) as interrupt:
        try:
            status = await _with_store(args, file, patience, out, interrupt)
        except (Failed, Stopped, Unavailable, Late) as error:
            if not interrupt.signal:
                raise Failed(f"{error}{again}") from error
        finally:
            out.close()
    if interrupt.signal:
        out.say(f"stopped{again}")
        return 128 + interrupt.signal
    return status


async def _with_store(
    args: argparse.Namespace,
    file: TextFile | None,
    patience: Patience,
    out: Progress,
    interrupt: Interrupt,
) -> int:
    store = await opened(Config.from_env(os.environ), patience, out)
    try:
        command = Command(args, store, patience, out)
        if args.command == "repair":
            return await command.repair()
        if args.command == "renew":
            await patience(store.renew_identity)
            print("the store has another identity: start the service now")
            return 0
        items = interrupt.guard(_items(args, file))
        return await (command.fill(items, file) if file else command.load(items, None))
    finally:
        await store.close()


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    file = None
    try:
        if args.command == "import":
            file = TextFile(args.file)
        return asyncio.run(_run(args, file))
    except KeyboardInterrupt:
        print("stopped at once", file=sys.stderr)
        return 130
    except (ConfigError, Failed, Unreadable) as error:
        print(f"python -m db.catalog: {error}", file=sys.stderr)
        return 1
    finally:
        if file:
            file.close()


if __name__ == "__main__":
    # the store logs its state, for the service; here the state is told by the command itself
    logging.getLogger("content").addHandler(logging.NullHandler())
    sys.exit(main())
