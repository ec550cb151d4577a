"""The ladder's figures as files: ladder.json, report.html, ladder.svg, and tables in docs/."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.lab.targets import ROOT
from bench.report import charts

RESULTS = ROOT / "bench" / "results"
DOCS = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by bench.report -->\n", "<!-- up to here -->\n"


def write_report(result: Mapping[str, Any], folder: Path) -> None:
    """Write the three files into ``folder``, which is made; of RESULTS renew the page DOCS, too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ladder.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.html").write_text(rendered("page.html", result))
    without_replicas = [rung for rung in result["rungs"] if rung["figure"] != "replicas"]
    (folder / "ladder.svg").write_text(charts.ladder(without_replicas))
    if folder == RESULTS:
        DOCS.write_text(renewed(DOCS.read_text(), result))


def renewed(text: str, result: Mapping[str, Any]) -> str:
    """Return the page ``text`` with the tables of this run between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{rendered('tables.md', result)}\n{END}{after}"


def rendered(template: str, result: Mapping[str, Any]) -> str:
    """Return ``page.html`` or the tables of Markdown with the figures of a run."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=template.endswith("html"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "shaped": lambda value, shape=",.0f": format(value, shape),
        "total": lambda parts: sum(parts.values()),
        "bar_look": charts.bar_look,
        "curves": charts.curves,
    }
    return environment.get_template(template).render(result)
