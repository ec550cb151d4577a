"""The commands ``import``, ``generate``, ``repair`` and ``renew`` against the service's store."""

import argparse
import dataclasses
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NoReturn

from config import Config
from db.catalog.formats import Catalogue
from db.catalog.generator import Generator
from db.catalog.reading import Item, TextFile, rows
from db.catalog.repair import Repair
from db.catalog.running import Patience, Progress
from db.store import IDENTITY, CatalogueStore, Stored, open_store
from errors import Late, ServiceError, Unavailable

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAST_DEADLINE_S = 10.0
"""Deadline of a request to the store, because no user waits and a late batch is sent again."""
BEGUN, FINISHED = "begun", "finished"
"""The notes that an import leaves in the store, before its first row and after its last one."""
BATCH_ROWS = 200
"""A store writes the rows of a batch at once; the next batch waits, to be read and written."""
SHOWN = 20
"""How many malformed records are named; the others are only counted."""


class Command:
    """One run of a command.

    A run may end at any moment, because the next run goes on from there. So the first SIGINT or
    SIGTERM ends the process at once, also while a read of a silent input blocks the event loop.
    """

    def __init__(self, args: argparse.Namespace):
        """Make this before the event loop, because opening a pipe waits for its writer.

        Raise ConfigError and Unreadable.
        """
        self._args = args
        self._work: Loader | Repair | None = None
        self._out = Progress(sys.stderr)
        for number in SIGNALS:
            signal.signal(number, self._end)
        self._file = TextFile(args.file) if args.command == "import" else None
        config = Config.from_env(os.environ)
        deadline_s = max(config.store_deadline_s, LEAST_DEADLINE_S)
        self._store = open_store(
            dataclasses.replace(config, store_deadline_s=deadline_s, read_deadline_s=deadline_s)
        )
        self._patience = Patience(on_wait=self._tell)

    async def run(self) -> int:
        """Run, and return the exit status. Raise ConfigError and Unreadable."""
        try:
            await self._store.open()
            return await self._do()
        except (Unavailable, Late) as error:
            self._tell(error)
            self._say_how_to_go_on()
            return 1
        finally:
            self._report()
            await self._store.close()

    def _end(self, number: int, frame: object) -> NoReturn:
        for tell in (self._report, self._say_how_to_go_on):
            # a signal during a write to a stream cannot write to the same stream (RuntimeError);
            # in a pipeline, Ctrl-C also ends the reader of the stream
            with suppress(RuntimeError, OSError):
                tell()
        # no exception: asyncio would cancel the creation of a session, which hangs
        os._exit(128 + number)

    def _report(self) -> None:
        self._out.close()
        if self._work:
            print(self._work, flush=True)

    def _say_how_to_go_on(self) -> None:
        again = self._work.again if isinstance(self._work, Repair) else "the same command"
        self._out.say(f"stopped; {again} goes on from here")

    def _tell(self, error: ServiceError) -> None:
        self._out.say(f"the store is away: {self._store.state()[1] or error}")

    async def _do(self) -> int:
        args = self._args
        if self._file:
            return await self._import(self._file)
        if args.command == "generate":
            rows = Generator(args.seed, args.catalogue).rows(args.rows)
            return await self._load(rows, lambda done: done / args.rows)
        if args.command == "renew":
            await self._patience(self._store.set_note, IDENTITY, str(uuid.uuid4()))
            print("the store has another identity: start the service now")
        elif self._store.name == "embedded":
            print("nothing to repair: the store writes a row and its lists in one transaction")
        else:
            store: Any = self._store  # a CassandraStore, whose driver is not imported here
            self._work = repair = Repair(store, self._patience, self._out)
            await repair.run(args.after and str(args.after))
        return 0

    async def _load(self, items: Iterator[Item], share: Callable[[int], float]) -> int:
        self._work = loader = Loader(self._store, self._patience, self._out)
        await loader.run(items, share)
        return 2 if loader.malformed else 0

    async def _import(self, file: TextFile) -> int:
        """Import a file.

        With ``--if-empty``, begin in an empty store only, and go on with an earlier run of the same
        catalogue that was not finished.
        """
        name = f"import of {self._args.catalogue}"
        if self._args.if_empty and (why := await self._why_not(name)):
            print(f"{why}: nothing imported")
            return 0
        await self._patience(self._store.set_note, name, BEGUN)
        catalogue = Catalogue(self._args.catalogue, datetime.now(UTC).date())
        status = await self._load(rows(file, catalogue), lambda _: file.share())
        await self._patience(self._store.set_note, name, FINISHED)
        return status

    async def _why_not(self, name: str) -> str:
        """Return why ``--if-empty`` has nothing to do; an empty text if there is work.

        Two imports may run at once. An import writes its note ``name`` before its rows, and here
        the rows are read before the note: rows without a note are then not of this catalogue.
        """
        has_rows = bool(await self._patience(self._store.ids, None, 1))
        note = await self._patience(self._store.note, name)
        if note == FINISHED:
            return "this catalogue was imported before"
        if has_rows and note is None:
            return "the store has rows already, and none of this catalogue"
        return ""


@dataclasses.dataclass
class Loader:
    """Loads rows into a store, batch by batch, and names the malformed records.

    Memory holds one batch. A run may be stopped at any point and repeated, because rows that are
    there are passed over.

    ``added``, ``there`` and ``malformed`` count the items so far. Of two rows with one id the
    first is added.
    """

    store: CatalogueStore
    patience: Patience
    out: Progress
    added: int = 0
    there: int = 0
    malformed: int = 0

    def __str__(self) -> str:
        counts = f"added {self.added:,}, already there {self.there:,}"
        return f"{counts}, malformed {self.malformed:,}"

    async def run(self, items: Iterator[Item], share: Callable[[int], float]) -> None:
        """Load until the end. ``share`` returns which share of all items a number of items is.

        It returns 0 if that is not known. Raise errors of ``items`` and, beyond patience, of the
        store.
        """
        while drawn := list(islice(items, BATCH_ROWS)):
            self._tell([item for item in drawn if isinstance(item, str)])
            await self._load([item for item in drawn if not isinstance(item, str)])
            done = self.added + self.there + self.malformed
            self.out.update(done, share(done))
        if self.malformed > SHOWN:
            self.out.say(f"... and {self.malformed - SHOWN:,} more malformed lines")

    async def _load(self, rows: list[Stored]) -> None:
        """Load the rows that the store does not know.

        The store is asked once, before the first load: a load that is repeated after a lost answer
        then counts its rows as added.
        """
        # reversed, so that the first row of an id stays
        batch = {stored.row["id"]: stored for stored in reversed(rows)}
        known = await self.patience(self.store.known, batch.keys())
        new = [stored for video_id, stored in batch.items() if video_id not in known]
        if new:
            await self.patience(self.store.load, new)
        self.added += len(new)
        self.there += len(rows) - len(new)

    def _tell(self, complaints: list[str]) -> None:
        for text in complaints[: max(0, SHOWN - self.malformed)]:
            self.out.say(text)
        self.malformed += len(complaints)
