"""The command line of the service. It has no options for settings: they are variables."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from config import VERSION, settings

DESCRIPTION = """\
Serve content metadata as a JSON API over HTTP.

Settings are environment variables. X_FILE names a file that holds the value of X. Items of a list
are separated by commas."""


def parse_arguments(arguments: Sequence[str] | None = None) -> None:
    """Return if there is no argument. Print help or version and exit with status 0.

    Refuse any other argument with status 2.
    """
    parser = argparse.ArgumentParser(
        prog="content",
        description=DESCRIPTION,
        epilog="settings, with default and range:\n"
        + "\n".join(_described(*each) for each in settings()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    parser.parse_args(arguments)


def _described(variable: str, default: str, bounds: str, meaning: str) -> str:
    """Return a setting in the shape of argparse's help of an option."""
    first = f"  {variable:28} {default:16} {bounds}".rstrip()
    return "\n      ".join([first, *textwrap.wrap(meaning, 90)])
