"""Which room may know which: the import rule, read from the source."""

import ast
import functools
from pathlib import Path

import pytest

from tests.each import each

ROOT = Path(__file__).resolve().parent.parent
GROUND = {"config", "drain", "errors", "etags", "metrics", "priority"}
MAY_IMPORT = {
    "drain": set[str](),
    "errors": set[str](),
    "etags": set[str](),
    "priority": set[str](),
    "deploy": set[str](),
    "config": {"parsers"},
    "parsers": set[str](),
    "metrics": set[str](),
    "db": GROUND,
    "cache": {*GROUND, "db"},
    "middleware": {*GROUND, "cache"},
    "api": {*GROUND, "db", "cache", "middleware"},
    "wire": {*GROUND, "cache", "middleware"},
    "server": {*GROUND, "wire"},
    "service": {*GROUND, "db", "cache", "middleware", "api", "wire", "server"},
}
"""Each room with the rooms it may import, itself aside; whatever is not here is a new decision."""

WORKSHOP = {"bench", "tests"}
DRIVERS = {
    "acsylla": {
        "db/cassandra/",
        "bench/peers/floors.py",
        "tests/db/test_cassandra",
        "tests/simulation/",
    },
    "redis": {"cache/", "bench/", "tests/"},
    "hiredis": {"cache/", "bench/", "tests/"},
    "sqlite3": {"db/embedded", "tests/"},
    "opentelemetry": {"middleware/tracing.py", "tests/"},
    "uvicorn": {"server.py", "wire/", "bench/", "tests/"},
    "httptools": {"server.py", "wire/", "bench/", "tests/"},
}
"""Each driver with where it may be imported."""


def folders() -> list[Path]:
    """The folders of the source; ``pip install .`` makes others."""
    found = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"]
    return [path for path in found if path.name != "build" and path.suffix != ".egg-info"]


def sources() -> list[Path]:
    hidden = (path for path in ROOT.iterdir() if not path.name.startswith("."))
    found = [path for path in hidden if path.suffix == ".py"]
    for room in folders():
        found += room.rglob("*.py")
    return sorted(found)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@functools.cache
def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it, and however it says so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(node.module or "")
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            constants = [each.value for each in node.args if isinstance(each, ast.Constant)]
            found |= {each for each in constants if isinstance(each, str)}
    return found


SOURCES = [path for path in sources() if room_of(path) not in WORKSHOP]


def test_the_rooms_of_the_service_are_those_of_the_table() -> None:
    assert {room_of(path) for path in SOURCES} == set(MAY_IMPORT)


@each("path", SOURCES)
def test_a_room_knows_only_the_rooms_below(path: Path) -> None:
    ours = set(MAY_IMPORT) | WORKSHOP
    known = {name.partition(".")[0] for name in imported(path)} & ours
    assert known <= MAY_IMPORT[room_of(path)] | {room_of(path)}


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_is_imported_in_its_place_alone(driver: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in sources()
        if driver in {name.partition(".")[0] for name in imported(path)}
    }
    assert {user for user in users if not user.startswith(tuple(DRIVERS[driver]))} == set()


def test_the_rule_sees_what_it_is_about() -> None:
    assert "acsylla" in imported(ROOT / "db" / "cassandra" / "session.py")
    assert "db.embedded" in imported(ROOT / "db" / "store.py")  # inside a function
    assert not MAY_IMPORT["middleware"] & {"db", "api"}
    assert not MAY_IMPORT["db"] & {"cache", "middleware"}
