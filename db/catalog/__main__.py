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
import logging
import sys
import unicodedata
import uuid
from typing import NoReturn

from config import VERSION, ConfigError
from db.catalog import reading
from db.catalog.commands import Command


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
