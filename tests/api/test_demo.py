"""The page to look at: there when asked for, complete, and cheap to have again."""

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.resource import MEDIA, ROOM
from bench.load.activity import Behaviour
from config import Config
from service import create_app
from tests.api.conformance import Api, Moody

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOM / "demo"
CONSTANT = r"(?m)^const ([A-Z_]+) = ([0-9.]+);"
ASSETS = sorted(
    path.name for path in FOLDER.iterdir() if path.suffix in MEDIA and path.suffix != ".html"
)


@pytest.fixture
async def client(store: Moody) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Config(demo=True), store)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x") as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/demo", "/demo/page.js"])
async def test_it_is_not_there_unless_asked_for(api: Api, path: str) -> None:
    response = await api.client.get(path)
    assert response.status_code == 404
    assert response.json() == {"status": "failed", "message": "Not Found"}


async def test_it_is_no_part_of_the_contract(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "/docs" in paths
    assert not [path for path in paths if path.startswith("/demo")]


async def test_page_allows_no_other_origin_and_nothing_inline(client: httpx.AsyncClient) -> None:
    page = await client.get("/demo")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    allowed = {word for rule in policy.split("; ") for word in rule.split()[1:]}
    assert allowed == {"'self'", "'none'", "data:"}
    assert re.findall(r"<script[^>]*>", page.text) == re.findall(
        r"<script[^>]* src=[^>]*>", page.text
    )
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page.text)


async def test_page_may_ask_the_origins_that_may_read_from_its_replica(store: Moody) -> None:
    others = ("http://127.0.0.1:1338", "http://localhost:1338")
    app = create_app(Config(demo=True, cors_origins=others), store)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        policies = [
            (await client.get(path)).headers["content-security-policy"]
            for path in ("/demo", "/docs")
        ]
    assert "connect-src 'self' http://127.0.0.1:1338 http://localhost:1338;" in policies[0]
    assert "connect-src 'self';" in policies[1]


async def test_whatever_the_page_and_its_scripts_name_is_served(client: httpx.AsyncClient) -> None:
    page = (await client.get("/demo")).text
    linked = set(re.findall(r'(?:src|href)="([^"#]+)"', page)) - {"docs"}
    linked -= {"/docs"}
    assert {link.removeprefix("demo/") for link in linked} <= set(ASSETS)
    imported = set()
    for name in ASSETS:
        if name.endswith(".js"):
            source = (await client.get(f"/demo/{name}")).text
            imported |= set(re.findall(r'(?:from|import) "\./([^"]*)"', source))
            assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML", source)
    loaded = imported | {link.removeprefix("demo/") for link in linked}
    assert loaded == set(ASSETS)  # and nothing lies about that no page needs


def test_visitors_of_the_page_are_those_of_the_benchmark() -> None:
    model, page = (FOLDER / "activity.js").read_text(), (FOLDER / "page.html").read_text()
    found = {name.lower(): float(value) for name, value in re.findall(CONSTANT, model)}
    assert found.pop("screen") == 12
    found["zipf"] = float(re.findall(r'id="visitors-zipf".* value="([^"]*)"', page)[0])
    behaviour = Behaviour()
    assert len(found) == 7
    assert found == {name: getattr(behaviour, name) for name in found}


@pytest.mark.parametrize("name", ASSETS)
async def test_asset_is_served_with_its_type_and_may_be_kept(
    client: httpx.AsyncClient, name: str
) -> None:
    response = await client.get(f"/demo/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"].encode() == MEDIA[Path(name).suffix]
    assert response.content == (FOLDER / name).read_bytes()
    assert response.headers["x-content-type-options"] == "nosniff"
    tag = {"If-None-Match": response.headers["etag"]}
    again = await client.get(f"/demo/{name}", headers=tag)
    assert (again.status_code, again.content) == (304, b"")


async def test_text_is_compressed_for_who_takes_that(client: httpx.AsyncClient) -> None:
    for path in ("/demo", "/demo/page.css"):
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await client.head(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["etag"] != plain.headers["etag"]
        assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))
        assert packed.content == b""


@pytest.mark.parametrize("name", ["page.html", "..%2Fassets.py", "..%2Fopenapi.json", "x"])
async def test_no_other_file_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/demo/{name}")).status_code == 404


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(
    ("more", "shown"),
    [({}, "DEMO=${DEMO-1} "), ({"DEMO_FILE": "x"}, "")],
)
def test_make_run_has_it_on(more: dict[str, str], shown: str) -> None:
    environ = {name: os.environ[name] for name in os.environ if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "-n", "run"], cwd=ROOT, env={**environ, **more}, capture_output=True, check=True
    )
    [serve] = [line for line in said.stdout.decode().splitlines() if "service.py" in line]
    assert f" {shown}.venv" in serve
    assert ("DEMO=" in serve) is bool(shown)
