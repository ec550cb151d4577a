"""The command line of the service: help with every setting, the version, and refusals."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config import VERSION, settings
from service import parse_arguments
from tests.test_imports import ROOT


def test_without_an_argument_the_service_starts() -> None:
    parse_arguments([])


def test_help_has_every_setting_with_default_range_and_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--help"])
    assert not ended.value.code
    said = " ".join(capsys.readouterr().out.split())
    for setting in settings():
        assert " ".join(" ".join(setting).split()) in said


def test_version_is_that_of_the_contract_and_of_the_image(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"content {VERSION}\n"
    contract = json.loads((ROOT / "api" / "openapi.json").read_text())
    assert contract["info"]["version"] == VERSION
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()


def test_help_needs_no_docstrings() -> None:
    command = [sys.executable, "-OO", str(ROOT / "service.py"), "--help"]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "NEAR_BYTES" in ended.stdout


@pytest.mark.parametrize("argument", ["--hlep", "8000", "--port=8000"])
def test_an_unknown_argument_is_refused_before_anything_starts(
    argument: str, tmp_path: Path
) -> None:
    environ = {"EMBEDDED_PATH": str(tmp_path / "content.sqlite3"), "PORT": "0"}
    command = [sys.executable, str(ROOT / "service.py"), argument]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert re.search(rf"^content: error: .*{argument}$", ended.stderr, re.MULTILINE)
    assert not list(tmp_path.iterdir())
