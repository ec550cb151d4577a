"""The package that ``pip install .`` makes: its files, its commands, and a row read from it."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from config import VERSION
from tests.http.service import RunningService
from tests.test_imports import ROOT, SOURCES

ROOMS = ("api", "cache", "db", "middleware", "wire")


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy with no more than it needs, because setuptools writes beside the source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a fresh environment, which finds the dependencies in ours."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    scheme = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip(
        "--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)
    )
    return folder / "bin"


def said(command: Path, *arguments: str, **environ: str) -> str:
    """What a command prints, outside of the source."""
    line = [str(command), *arguments]
    done = subprocess.run(
        line,
        env=environ,
        cwd=command.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_the_package_has_every_file_of_the_product(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    rooms = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    files = {str(path.relative_to(ROOT)) for path in [*SOURCES, *rooms] if path.suffix != ".pyc"}
    assert packed == files - {"deploy/healthcheck.py"}  # only the image has it


def test_the_package_needs_what_the_service_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    pinned = (ROOT / "requirements.in").read_text().splitlines()
    needs = {line.replace(" ;", ";") for line in pinned if line and line[0] != "#"}
    found = (line.removeprefix("Requires-Dist: ") for line in metadata.splitlines())
    assert needs <= set(found)
    assert f"\nVersion: {VERSION}\n" in metadata


class Installed(RunningService):
    """The command ``content`` of an environment."""

    commands: Path

    def program(self) -> Sequence[str]:
        return [str(self.commands / "content")]


def test_the_installed_commands_fill_a_store_and_serve_its_rows(
    commands: Path, tmp_path: Path
) -> None:
    for command in ("content", "content-catalog"):
        assert said(commands / command, "--version") == f"content {VERSION}\n"
    for workers in ("1", "2"):  # several import the command
        service = Installed({"WORKERS": workers, "DEMO": "1", "DRAIN_S": "0"}, tmp_path)
        service.commands = commands
        path = service.settings["EMBEDDED_PATH"]
        said(commands / "content-catalog", "generate", "3", EMBEDDED_PATH=path)
        with service.client, service:
            ids = service.client.get("/uuids").json()["data"]
            assert len(ids) == 3
            assert service.client.get(f"/content/{ids[0]}").json()["data"]["id"] == ids[0]
            for page in ("/docs", "/demo", "/openapi.json"):
                assert service.client.get(page, follow_redirects=True).status_code == 200
            service.terminate()
            assert service.wait() == 0
