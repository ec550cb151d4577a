"""The real app over the embedded store, and a client that checks what it answers."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from bench.lab.processes import free_ports
from bench.lab.targets import Service
from config import Config
from service import create_app
from tests.api import chromium
from tests.api.conformance import Api, Moody
from tests.api.demo_world import HOSTILE, NAMED, SETTLED, TITLES
from tests.api.process import running


@pytest.fixture
def store(tmp_path: Path) -> Moody:
    return Moody(str(tmp_path / "content.sqlite3"))


@pytest.fixture
def app(store: Moody) -> Starlette:
    return create_app(Config(write_token="sesame", body_max_bytes=1024), store)


@pytest.fixture
async def api(app: Starlette, store: Moody) -> AsyncIterator[Api]:
    """With the token that writes need."""
    transport = httpx.ASGITransport(app)
    token = {"Authorization": "Bearer sesame"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x", headers=token) as client,
    ):
        yield Api(client, store)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the service at ``url`` logs."""
    return tmp_path_factory.mktemp("service") / "log"


@pytest.fixture(scope="module")
def url(log: Path) -> Iterator[str]:
    """The service as a process of its own."""
    with running(log.parent) as url:
        yield url


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A replica with the demo page and a few titles."""
    folder = tmp_path_factory.mktemp("service")
    own, other = free_ports(2)
    environ = {
        **{name: os.environ[name] for name in os.environ if "CASSANDRA" not in name},
        "PORT": str(own),
        "CORS_ORIGINS": f"http://127.0.0.1:{other}",  # of a second replica, if a test starts it
        "EMBEDDED_PATH": str(folder / "content.sqlite3"),
        "DEMO": "1",
        "NEAR_TTL_S": "600",  # so that what was read once is near for the rest of a test
    }
    with Service(environ, folder) as service:
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}") as client:
            for number in range(TITLES):
                draft = {
                    "title": HOSTILE if number == TITLES - 1 else f"Title {number}",
                    "description": f"About {number}",
                    "genres": ["Drama", "Travel"],
                    "cast": ["Ada Vale"],
                    "duration": 5640,
                    "releaseDate": "May 3, 2019",
                    "isMovie": True,
                }
                client.post("/content", json=draft).raise_for_status()
        yield service


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    with chromium.page(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(service: Service, browser: chromium.Page) -> Iterator[chromium.Page]:
    """The page, opened anew, with the titles in view known and the pointer out of the way."""
    service.start()
    browser.requests.clear()
    browser.faults.clear()
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    browser.open(f"http://127.0.0.1:{service.port}/demo")
    browser.until(NAMED)
    browser.until(SETTLED)
    yield browser
    browser.call("Fetch.disable")
    browser.answer = lambda path: None
    assert browser.faults == []
