"""The real app over the embedded store, and a client that checks what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from config import Config
from service import create_app
from tests.api.conformance import Api, Moody
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
