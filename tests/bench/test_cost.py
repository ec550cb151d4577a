"""The cost benchmark: its arithmetic, and one short run of its smallest part."""

import shutil
from pathlib import Path

import pytest

from bench.cost import Cost, Way, cost_of, table
from bench.lab.spawn import ServerError
from bench.peers.servers import Python

RAW, ROUTE = "empty raw ASGI app", "empty Starlette route"


def test_ratios_are_taken_within_a_round() -> None:
    rounds = {
        RAW: [Cost(10, 1), Cost(20, 1), Cost(40, 1)],
        ROUTE: [Cost(20, 1), Cost(20, 1), Cost(20, 1)],
        "mine": [Cost(5, 100), Cost(10, 300), Cost(20, 200)],
    }
    assert table(rounds).splitlines()[-1] == "| mine | 10.0 | 200 | 0.50 | 0.50 |"


@pytest.mark.skipif(
    shutil.which("wrk") is None or shutil.which("taskset") is None,
    reason="wrk and taskset are not installed",
)
def test_a_run_counts_and_an_error_fails_it(tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_text("x\n")
    with Python("raw", 0) as raw, Python("route", 0) as route:
        cost = cost_of(Way(RAW, raw, 1), ids, 1)
        assert cost.cpu_us > 0
        assert cost.requests_per_s > 0
        ids.write_text("not/a/route\n")
        with pytest.raises(ServerError, match="failed under load"):
            cost_of(Way(ROUTE, route, 1), ids, 1)
