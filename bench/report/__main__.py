"""`python -m bench.report [FOLDER]`: draws the page anew from a run's ladder.json."""

import argparse
import json
from pathlib import Path

from bench.report import RESULTS, rendered, write_report

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS)
    folder: Path = parser.parse_args().folder
    result = json.loads((folder / "ladder.json").read_text())
    write_report(result, folder)
    print(rendered("tables.md", result))
