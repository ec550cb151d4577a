"""``python -m bench.consistency``: see ``check.py``."""

from __future__ import annotations

import sys

from bench.consistency.check import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
