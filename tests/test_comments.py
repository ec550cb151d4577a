"""Comments and pages: each file, module, make target and section that they name exists."""

import ast
import importlib.util
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.each import each
from tests.test_imports import GROUND, MAY_IMPORT, ROOT, SOURCES, folders, sources

PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "bench" / "README.md",
    *sorted((ROOT / "bench").glob("*/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
DESIGN = ROOT / "docs" / "design.md"
SUFFIXES = (
    *("py", "md", "yml", "json", "sh", "lua", "txt", "cql", "sql", "cfg", "conf", "svg", "html"),
)
HASHED = {".yml", ".sh", ".lua", ".cql", ".sql", ".cfg", ".conf"}
"""Files other than Python whose comment lines begin with a hash, or with two dashes."""

ELSEWHERE = {
    "content_models.py": "written by a command of docs/api.md, under Clients",
    "daemon.json": "Docker's settings, on the host",
    "ladder.json": "written into the folder of a run of bench.ladder",
    "ladder.svg": "written into the folder of a run of bench.ladder",
    "report.html": "written into the folder of a run of bench.ladder",
}
"""Files that are named but are no part of the repository, each with the reason."""

ROOMS = ("api", "bench", "cache", "db", "middleware", "tests", "wire")
FILE = re.compile(rf"(?<![\w./~$-])\w[\w.-]*(?:/[\w.-]+)*\.(?:{'|'.join(SUFFIXES)})\b(?![/(\w])")
MODULE = re.compile(r"python -m ([a-z_]\w*(?:\.[a-z_]\w*)*)(?!\w|\.[^\s`])")
DOTTED = re.compile(rf"`+((?:{'|'.join(ROOMS)})(?:\.[a-z_]\w*)+)`+")
TARGET = re.compile(r"`make ([a-z][\w-]*)`|^make ([a-z][\w-]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)")
SECTION = re.compile(r"(README|[\w/]+\.md),? under (?:\"([^\"]+)\"|([A-Z]\w+))")
STEP = re.compile(r"`([\w/]+\.py)`\s+`([\w.]+)`")
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def comments(path: Path) -> Iterator[str]:
    """Yield every comment and every docstring of a Python file."""
    text = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def written(path: Path) -> str:
    """Return all text of a page, or the comments of another file."""
    if path.suffix == ".py":
        return "\n".join(comments(path))
    if path.suffix == ".md":
        return path.read_text()
    return "\n".join(re.findall(r"(?:^|\s)(?:#|--)\s(.*)", path.read_text()))


def is_module(name: str) -> bool:
    """Return whether a dotted name of one of our rooms is a module or a package."""
    file = ROOT.joinpath(*name.split("."))
    return file.with_suffix(".py").exists() or (file / "__init__.py").exists()


def runs(name: str) -> bool:
    """Return whether ``python -m`` can run a module, ours or an installed one."""
    file = ROOT.joinpath(*name.split("."))
    if name.split(".")[0] in ROOMS:
        return file.with_suffix(".py").exists() or (file / "__main__.py").exists()
    return importlib.util.find_spec(name) is not None


def headings(page: Path) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)


def slugs(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    plain = (re.sub(r"[^\w -]", "", heading.lower()) for heading in headings(page))
    return {heading.replace(" ", "-") for heading in plain}


def missing(text: str, folder: Path) -> list[str]:
    """Return the names in ``text`` that nothing has; paths begin at the root or at ``folder``."""
    gone = [
        name
        for name in FILE.findall(text)
        if name not in ELSEWHERE and not ((ROOT / name).exists() or (folder / name).exists())
    ]
    gone += [name for name in MODULE.findall(text) if not runs(name)]
    gone += [name for name in DOTTED.findall(text) if not is_module(name)]
    gone += [name for both in TARGET.findall(text) for name in both if name and name not in TARGETS]
    for name, anchor in LINK.findall(text):
        page = folder / name
        if not page.exists() or (anchor and page.is_file() and anchor[1:] not in slugs(page)):
            gone.append(name + anchor)
    for name, quoted, word in SECTION.findall(text):
        page, heading = folder / name, quoted or word
        if name == "README":
            page = ROOT / "README.md"
        if not page.exists() or heading not in headings(page):
            gone.append(f"{name} under {heading}")
    return gone


def others() -> list[Path]:
    """Return the files with comments that are neither Python nor pages."""
    found = [path for path in ROOT.iterdir() if path.suffix in HASHED]
    found += [path for room in folders() for path in room.rglob("*") if path.suffix in HASHED]
    ours = [path for path in found if "node_modules" not in path.parts]
    return sorted([*ours, ROOT / "Dockerfile", ROOT / "Makefile"])


def defined(path: Path) -> set[str]:
    """Return the names that a file defines: functions, classes with their methods, constants."""

    def names(nodes: list[ast.stmt], prefix: str = "") -> Iterator[str]:
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield prefix + node.name
                yield from names(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                yield from (prefix + each.id for each in node.targets if isinstance(each, ast.Name))

    return set(names(ast.parse(path.read_text()).body))


@each("path", [*sources(), *PAGES, *others()])
def test_what_a_comment_or_a_page_names_exists(path: Path) -> None:
    assert missing(written(path), path.parent) == []


def test_each_step_of_the_design_names_a_function_that_exists() -> None:
    steps = STEP.findall(DESIGN.read_text())
    assert len(steps) > 60
    gone = [step for step in steps if step[1] not in defined(ROOT / step[0])]
    assert gone == []


def test_each_method_that_the_design_names_alone_exists() -> None:
    known = {name for path in SOURCES for name in defined(path)}
    methods = re.findall(r"`([A-Z]\w*\.\w+)`", DESIGN.read_text())
    assert [name for name in methods if name not in known] == []


def test_each_step_of_a_request_begins_with_its_function() -> None:
    request = DESIGN.read_text().split("\n## ")[1]
    steps = re.findall(r"^\d+\. (.*)$", request, re.MULTILINE)
    assert len(steps) > 40
    assert [step for step in steps if not STEP.match(step)] == []


def test_the_rooms_of_the_design_have_the_imports_of_the_rule() -> None:
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.*) \|$", DESIGN.read_text(), re.MULTILINE)
    told = {room: set(re.findall(r"`(\w+)`", may)) for room, may in rows if room in MAY_IMPORT}
    assert told == {room: MAY_IMPORT[room] - GROUND for room in ROOMS if room in MAY_IMPORT}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("see `cache/absent.py`", "cache/absent.py"),
        ("``reads_.py`` says when", "reads_.py"),
        ("the page docs/absent.md", "docs/absent.md"),
        ("run ``python -m bench.absent``", "bench.absent"),
        ("run `python -m nowhere --help`", "nowhere"),
        ("as `bench.absent` measures", "bench.absent"),
        ("run `make nothing`", "nothing"),
        ("[the page](docs/absent.svg)", "docs/absent.svg"),
        ("[the page](docs/design.md#no-such-section)", "docs/design.md#no-such-section"),
        ('the README under "No such section"', "README under No such section"),
    ],
)
def test_a_name_that_is_not_there_is_found(text: str, name: str) -> None:
    assert name in missing(text, ROOT)


def test_names_that_are_there_are_not_found() -> None:
    text = "`cache/near.py`, `python -m bench.cost`, `make test`, [it](docs/design.md#glossary)"
    assert missing(text, ROOT) == []
    assert "Near.get" in defined(ROOT / "cache" / "near.py")
    assert "Near.absent" not in defined(ROOT / "cache" / "near.py")
