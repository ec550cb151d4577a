"""Fill and mend the catalogue.

  python -m db.catalog import data/netflix_titles.csv.gz
  python -m db.catalog generate 5000000 --seed 1
  python -m db.catalog repair

The store is the service's: Cassandra at CASSANDRA_HOST, or else the file EMBEDDED_PATH. Each
command may be stopped (Ctrl-C) and run again: import and generate go on where they were, repair
where its --after says.

Status 0: done. 1: not done, or not to the end. 2: done, but malformed lines were left out. 130 or
143: stopped by a signal.
"""

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
import sys
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

from config import VERSION, Config, ConfigError
from db.catalog import reading
from db.catalog.formats import Catalogue
from db.catalog.generator import Generator
from db.catalog.repair import Repair
from db.catalog.running import Loader, Patience, Progress
from db.store import IDENTITY, open_store
from errors import Late, ServiceError, Unavailable

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAST_DEADLINE_S = 10.0
"""Deadline of a request to the store, because no user waits and a late batch is sent again."""
BEGUN, FINISHED = "begun", "finished"
"""The notes that an import leaves in the store, before its first row and after its last one."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with status 1, because 2, the usual status, means malformed lines here."""
        self.exit(1, f"{self.format_usage()}{self.prog}: {message}\n")


def whole_number(text: str) -> int:
    """Return a whole number without a sign. Raise ValueError."""
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def name(text: str) -> str:
    """Return the name of a catalogue, in NFC. Raise ValueError."""
    text.encode()  # fails for the surrogates of a file name that is not UTF-8
    if not text:
        raise ValueError(text)
    return unicodedata.normalize("NFC", text)  # macOS decomposes the names of files


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return ``command`` and its arguments. Exit with a usage line if they are wrong."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser(prog="python -m db.catalog", description=__doc__, formatter_class=plain)
    parser.add_argument("--version", action="version", version=f"content {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    text = "add the rows of a file"
    fill = commands.add_parser("import", help=text, epilog=reading.__doc__, formatter_class=plain)
    fill.add_argument("file", metavar="FILE", help='a catalogue, or "-"')
    text = "default: the file's name without its endings"
    fill.add_argument("--catalogue", type=name, metavar="NAME", help=text)
    text = "begin in an empty store only, and go on with an import that was not finished"
    fill.add_argument("--if-empty", action="store_true", help=text)

    invent = commands.add_parser("generate", help="add invented rows, the same rows every time")
    invent.add_argument("rows", type=whole_number, metavar="ROWS", help="how many, like 5000000")
    invent.add_argument("--seed", type=whole_number, metavar="N", default=1, help="default: 1")
    text = "default: generated"
    invent.add_argument("--catalogue", type=name, metavar="NAME", default="generated", help=text)

    mend = commands.add_parser("repair", help="make the genre lists agree with the rows")
    text = "go on behind this id, as a stopped run says"
    mend.add_argument("--after", type=uuid.UUID, metavar="ID", help=text)

    text = "after a backup was restored, and before the service starts: let cached rows end"
    commands.add_parser("renew", help=text)

    args = parser.parse_args(arguments)
    if args.command == "import" and not args.catalogue:
        try:
            args.catalogue = name(reading.catalogue_name(args.file))
        except ValueError:
            parser.error("FILE has no name, as a pipe or a device: give --catalogue NAME")
    return args


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
        self._file = reading.TextFile(args.file) if args.command == "import" else None
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
            after = args.after and str(args.after)
            self._work = repair = Repair(store, self._patience, self._out, after=after)
            await repair.run()
        return 0

    async def _load(self, items: Iterator[reading.Item], share: Callable[[int], float]) -> int:
        self._work = loader = Loader(self._store, self._patience, self._out)
        await loader.run(items, share)
        return 2 if loader.malformed else 0

    async def _import(self, file: reading.TextFile) -> int:
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
        status = await self._load(reading.rows(file, catalogue), lambda _: file.share())
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


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the status of the process."""
    # the store logs its state for the service; here the command itself reports the state
    logging.getLogger("content").addHandler(logging.NullHandler())
    args = parse(arguments)
    try:
        return asyncio.run(Command(args).run())
    except (ConfigError, reading.Unreadable) as error:
        print(f"python -m db.catalog: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
