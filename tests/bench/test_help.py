"""`python -m bench.X --help` prints how X is used, and does nothing else."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = {"peers"}
"""The room of programs that only other programs start."""


def programs() -> list[Path]:
    return sorted(
        path
        for path in (ROOT / "bench").rglob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
        and not CHILDREN & set(path.relative_to(ROOT / "bench").parts)
    )


@pytest.mark.parametrize("path", programs(), ids=lambda path: str(path.relative_to(ROOT)))
def test_help_is_printed_and_nothing_is_started(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("it starts something")

    monkeypatch.setattr("bench.lab.processes.spawn", started)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_without_make_install_one_line_says_so() -> None:
    command = [sys.executable, "-S", "-m", "bench.cost"]  # -S: without installed packages
    ended = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr == "bench: run make install, and then .venv/bin/python -m bench...\n"
