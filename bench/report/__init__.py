"""The ladder's figures as files: ladder.json, report.html and ladder.svg.

Nothing is computed here that is not in the JSON already; the page needs no network and no script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report.charts import ladder
from bench.report.page import page

__all__ = ["write_report"]


def write_report(result: dict[str, Any], folder: Path) -> None:
    """Writes the three into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ladder.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.html").write_text(page(result))
    (folder / "ladder.svg").write_text(ladder(result["rungs"], alone=True))
