"""What ``python -m db.catalog`` takes and how it explains itself."""

from __future__ import annotations

import argparse
import unicodedata
from typing import NoReturn

from db.catalog.files import has_name
from db.catalog.reading import stem
from db.version import parse_id

EXAMPLES = """\
  python -m db.catalog import data/netflix_titles.csv.gz
  python -m db.catalog generate 5000000 --seed 1
  python -m db.catalog repair

The store is the service's: Cassandra at CASSANDRA_HOST, or else the file EMBEDDED_PATH. Each
command may be stopped (Ctrl-C) and run again: import and generate go on where they were, repair
where its --after says.

Status 0: done. 1: not done, or not to the end. 2: done, but malformed lines were left out. 130 or
143: stopped by a signal.
"""
IMPORTS = """\
FILE is CSV or JSON lines, compressed with gzip or not: .csv, .jsonl, .ndjson, with .gz behind it.
"-" is standard input, which needs --catalogue NAME, as any pipe does. Where the file's name does
not say which of both it is, the content does: JSON lines begin with "{".

CSV has the columns of the public streaming catalogues (Netflix, Hulu, Disney+, Amazon Prime), in
any order, named in the first line; other columns are passed over:

  show_id       with the catalogue's name it makes the row's id
  type          Movie or TV Show: ismovie        country     regions
  listed_in     genres                           date_added  when the row was added: its place in
  release_year  releasedate                                  the lists (absent: 1 January of the
  duration      90 min: duration, in seconds;                release year; to come: yesterday)
                2 Seasons: seasons               title, director, cast, rating, description

JSON lines are those columns as keys of an object, or rows of this service: what GET /content/{id}
serves as data, which keeps its id and its version, or a body for POST /content, which may have an
id or a show_id beside it and is named by its content otherwise.

A malformed line is reported and left out. A row that is there already, or was deleted, is left
alone: importing a file again adds what is new in it and changes nothing.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Status 1: 2, which is usual, says here that there were malformed lines."""
        self.exit(1, f"{self.format_usage()}{self.prog}: {message}\n")


def _count(text: str) -> int:
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdecimal()):
        raise argparse.ArgumentTypeError("has to be a whole number")
    return int(digits)


def _name(text: str) -> str:
    text.encode()  # names that are not UTF-8 come with surrogates in them
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return unicodedata.normalize("NFC", text)  # macOS decomposes the names of files


def _id(text: str) -> str:
    if video_id := parse_id(text):
        return video_id
    raise argparse.ArgumentTypeError("has to be the id of a row")


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    top = _Parser(
        prog="python -m db.catalog",
        description="Fills and mends the catalogue.",
        epilog=EXAMPLES,
        formatter_class=plain,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    load = commands.add_parser(
        "import", help="add the rows of a file", epilog=IMPORTS, formatter_class=plain
    )
    load.add_argument("file", metavar="FILE", help='a catalogue, or "-"')
    load.add_argument("--catalogue", type=_name, metavar="NAME", help="default: the file's name")
    load.add_argument(
        "--if-empty",
        action="store_true",
        help="begin in an empty store only, and go on with an import that was not finished",
    )
    invent = commands.add_parser("generate", help="add invented rows, the same ones every time")
    invent.add_argument("rows", metavar="ROWS", type=_count, help="how many, like 5000000")
    invent.add_argument("--seed", type=_count, default=1, metavar="N", help="default: 1")
    invent.add_argument(
        "--catalogue", type=_name, default="generated", metavar="NAME", help="default: generated"
    )
    mend = commands.add_parser("repair", help="make the genre lists agree with the rows")
    mend.add_argument(
        "--after", type=_id, metavar="ID", help="go on behind this id, as a stopped run says"
    )
    commands.add_parser(
        "renew", help="after a backup was restored, and before the service starts: cached rows end"
    )
    return top


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """``command`` and what belongs to it; ``catalogue`` is a name. Ends the program when wrong."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.command == "import" and not args.catalogue:
        if not has_name(args.file):
            parser.error("a pipe or a device has no name: --catalogue NAME has to say one")
        try:
            args.catalogue = _name(stem(args.file))
        except (ValueError, argparse.ArgumentTypeError):
            parser.error("this file's name names no catalogue: --catalogue NAME has to say one")
    return args
