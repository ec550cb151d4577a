"""The ladder's figures as files: ladder.json, report.html and ladder.svg.

Nothing is computed here that is not in the JSON already; the page needs no network and no script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.report.charts import ladder
from bench.report.page import page

HEAD = (
    "| rung | requests/s at the limit | CPU us/request, all processes | p50 ms | p99 ms | p99.9 ms "
    "| from a cache |\n|---|---|---|---|---|---|---|"
)


def write_report(result: dict[str, Any], folder: Path) -> None:
    """Write the three files into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ladder.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.html").write_text(page(result))
    (folder / "ladder.svg").write_text(ladder(result["rungs"], alone=True))


def table(result: dict[str, Any]) -> str:
    """Return a table of Markdown, for the terminal and docs/benchmarks.md.

    The limit and the CPU are those of the run at the limit; latencies and layers are those of the
    run on schedule.
    """
    lines = [HEAD]
    for rung in result["rungs"]:
        seen, most = rung["open"], rung["limit"]
        latency = " | ".join(f"{seen['latency_ms'][each]:.1f}" for each in ("50", "99", "99.9"))
        lines.append(
            f"| {rung['name']} | {most['goodput_s']:,.0f} | {most['cpu_us_total']:,.0f} "
            f"| {latency} | {seen['cached']:.0%} |"
        )
    return "\n".join(lines)
