"""The README and the pages: length, pictures, commands, routes, and figures from the records.

``test_comments.py`` looks up the files, links, modules and sections that a page names.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.each import each
from tests.test_comments import PAGES, TARGETS
from tests.test_imports import ROOT

README = ROOT / "README.md"
API = ROOT / "docs" / "api.md"
README_LINES_MAX = 170
PICTURE_BYTES_MAX = 200_000
TOOLS = {"pip", "py-spy", "python", "artillery"}
"""Programs of others in the folder ``bin`` of an environment."""
UNTOLD = {("GET", "/"), ("GET", "/docs/{asset}")}
"""Routes of the contract that a table of the API leaves out."""


def rows(page: Path) -> list[list[str]]:
    """The cells of each row of each table."""
    lines = re.findall(r"^\| (.*) \|$", page.read_text(), re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def shell(page: Path) -> str:
    """All blocks of shell commands, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return re.sub(r"\s#\s.*", "", "".join(blocks))


def contract() -> set[tuple[str, str]]:
    """The routes of the contract, each with one method."""
    paths = json.loads((ROOT / "api" / "openapi.json").read_text())["paths"]
    methods = {"get", "post", "patch", "delete"}
    return {(method.upper(), path) for path in paths for method in methods & set(paths[path])}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= README_LINES_MAX


@each("page", PAGES)
def test_each_picture_exists_and_is_small(page: Path) -> None:
    for name in re.findall(r'<img src="([^"]+)"', page.read_text()):
        assert (page.parent / name).stat().st_size <= PICTURE_BYTES_MAX


@each("page", PAGES)
def test_each_command_of_a_shell_block_exists(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", shell(page))) <= TARGETS
    assert set(re.findall(r"bin/([\w-]+)", shell(page))) <= TOOLS | set(project["scripts"])


@each("page", PAGES)
def test_each_path_of_a_shell_block_is_a_route(page: Path) -> None:
    routes = [re.sub(r"\{\w+\}", r"[^/]+", path) for _, path in contract()]
    for path in re.findall(r"127\.0\.0\.1:1337(/[^\s\"?)]*)", shell(page)):
        assert any(re.fullmatch(route, path.replace("$(curl", "id")) for route in routes), path


@pytest.mark.parametrize("page", [README, API], ids=str)
def test_the_table_has_every_route_and_no_other(page: Path) -> None:
    """A path without a method has that of the path before."""
    found, method = set(), ""
    for cells in rows(page):
        for method_, path in re.findall(r"`(?:(GET|POST|PATCH|DELETE) )?(/[^`?]*)[^`]*`", cells[0]):
            method = method_ or method
            found.add((method, path))
    assert found == contract() - UNTOLD | {("GET", "/demo")}


def test_the_readme_makes_the_secrets_of_the_stack() -> None:
    (made,) = re.findall(r"^for each in (.*); do$", shell(README), re.MULTILINE)
    named = re.findall(r"_SECRET:-content_(\w+)\}", (ROOT / "stack.yml").read_text())
    assert set(made.split()) == set(named)


def test_the_readme_has_the_figures_of_the_recorded_ladder() -> None:
    record = json.loads((ROOT / "bench" / "results" / "ladder.json").read_text())
    limits = {rung["name"]: rung["limit"] for rung in record["rungs"]}
    told = [cells for cells in rows(README) if cells[0] in limits]
    assert len(told) == 6
    for name, rate, cpu_us, _ in told:
        assert rate == f"{limits[name]['goodput_s']:,.0f}"
        assert cpu_us == f"{limits[name]['cpu_us_total']:.0f}"


def test_the_readme_has_the_costs_of_the_recorded_table() -> None:
    costs = {cells[0]: cells[1] for cells in rows(ROOT / "docs" / "benchmarks.md")}
    ways = {
        "near hit": "near hit, fast lane",
        "Redis hit": "Redis hit",
        "fill": "Cassandra, lease and fill",
    }
    for label, way in ways.items():
        assert f'"{label}: {float(costs[way]):.0f} us"' in README.read_text()
    hits = (float(costs[way]) for way in ("near hit, fast lane", "nginx proxy_cache hit"))
    near, nginx = (f"{cost:.0f} us" for cost in hits)
    assert f"costs {near} of CPU, and a hit in nginx's cache {nginx} (" in README.read_text()
