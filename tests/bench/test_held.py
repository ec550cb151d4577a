"""The measurement of what connections hold, with enough of them to use up the budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import held
from bench.lab.targets import Service


def test_a_few_connections_are_held_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(held, "HOLD_S", 1.0)
    number = 1_500  # of 64 KiB each: more than the budget has
    settings = {
        "EMBEDDED_PATH": str(tmp_path / "content.sqlite3"),
        "CONNECTIONS_MAX": str(number + held.SPARE),
        "ARRIVAL_S": "120",
    }
    with Service(settings, tmp_path) as service:
        assert held.run(service, number)
    _, small, bodies, heads = capsys.readouterr().out.splitlines()
    for line in (small, bodies, heads):
        assert f"'connected': {number}" in line
    assert "503" not in small.partition("near hits")[0]
    assert "'503': " in bodies
