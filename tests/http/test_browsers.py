"""A browser as somebody's deputy: without a token no page of another site writes through one."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api import chromium
from tests.each import each
from tests.http.conftest import StartsService
from tests.http.samples import data, draft, failure, post
from tests.http.service import RunningService

FOREIGN: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "Cross-Site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "127.0.0.1:{port}"},
    {"Origin": "{own}, https://evil.example"},
    {"Origin": "{own}.evil.example"},
    {"Origin": "{own}/"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "{own}"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Origin": "{own}"},
    {"Origin": "HTTP://127.0.0.1:{port}"},
    {"Origin": "https://127.0.0.1:{port}"},  # TLS ends at a proxy
    {"Origin": "http://localhost:{port}", "Host": "LocalHost:{port}"},
    {"Origin": "https://a.localhost", "Host": "a.localhost:443"},
    {"Origin": "http://[::1]:{port}", "Host": "[::1]:{port}"},
]


def writes(
    service: RunningService, row: Any, headers: dict[str, str], **more: str
) -> list[httpx.Response]:
    """Each write with these headers."""
    own = f"http://{service.host}:{service.port}"
    told = {
        name: text.replace("{own}", own).replace("{port}", str(service.port))
        for name, text in {**headers, **more}.items()
    }
    client, url = service.client, f"/content/{row['id']}"
    return [
        client.post("/content", json=draft(), headers=told),
        client.patch(url, json={"title": "New"}, headers=told),
        client.delete(url, headers=told),
    ]


@each("headers", FOREIGN)
def test_a_page_of_another_site_does_not_write(
    service: RunningService, headers: dict[str, str]
) -> None:
    row = post(service.client)
    for answer in writes(service, row, headers):
        failure(answer, 403)
        assert "WRITE_TOKEN" in answer.json()["message"]
    assert data(service.client.get(f"/content/{row['id']}")) == row
    assert service.client.get(f"/content/{row['id']}", headers={"Origin": "null"}).is_success


@each("headers", OWN)
def test_scripts_and_pages_of_ours_write(service: RunningService, headers: dict[str, str]) -> None:
    answers = writes(service, post(service.client), headers)
    assert [answer.status_code for answer in answers] == [201, 200, 200]


def test_a_refused_write_of_an_unknown_row_is_unknown(service: RunningService) -> None:
    for answer in writes(service, {"id": "x"}, {"Origin": "null"})[1:]:
        failure(answer, 404)  # a malformed id comes before credentials


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_a_name_of_elsewhere_is_no_name_of_loopback(service: RunningService, host: str) -> None:
    """A page may give its own name this machine's address: DNS rebinding."""
    for origin in ({}, {"Origin": f"http://{host}:{service.port}"}):
        row = post(service.client)
        for answer in writes(service, row, origin, Host=f"{host}:{service.port}"):
            failure(answer, 403)
            assert "WRITE_TOKEN" in answer.json()["message"]
        assert data(service.client.get(f"/content/{row['id']}", headers={"Host": host})) == row


def test_who_has_the_token_writes_from_anywhere(start_service: StartsService) -> None:
    with start_service(WRITE_TOKEN="s3cret") as service:
        told = {"Authorization": "Bearer s3cret"}
        row = data(service.client.post("/content", json=draft(), headers=told), 201)
        for answer in writes(service, row, {**told, "Host": "evil.example"}, **FOREIGN[4]):
            assert answer.is_success
        for answer in writes(service, row, {}):
            failure(answer, 401)


@pytest.mark.parametrize("listed", ["https://a.example", "*"])
def test_an_origin_of_the_list_writes(start_service: StartsService, listed: str) -> None:
    with start_service(CORS_ORIGINS=listed) as service:
        allowed = {"Origin": "https://a.example", "Sec-Fetch-Site": "cross-site"}
        answers = writes(service, post(service.client), allowed)
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        other = {**allowed, "Origin": "https://b.example"}
        answers = writes(service, post(service.client), other)
        assert {answer.status_code for answer in answers} == (
            {403} if listed != "*" else {201, 200}
        )


def test_beyond_loopback_any_name_is_ours(start_service: StartsService) -> None:
    with start_service(HOST="0.0.0.0") as service:
        service.client.base_url = httpx.URL(f"http://127.0.0.1:{service.port}")
        named = {"Host": "site.example", "Origin": "https://site.example"}
        answers = writes(service, post(service.client), named)
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        for answer in writes(service, post(service.client), named, Origin="https://b.example"):
            failure(answer, 403)


@contextmanager
def another_site(folder: Path) -> Iterator[str]:
    """The origin of a site whose pages are the files of ``folder``."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


SEND = """fetch("{url}/content", {{method: "POST", mode: "no-cors", body: new Blob(
  ['{{"title":"made","genres":["Zz Cross"],"isMovie":true}}'])}}).then(() => window.sent = true)"""


@pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")
def test_a_real_browser_is_nobodys_deputy(start_service: StartsService, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "browser").mkdir()
    (site / "index.html").write_text("<!doctype html><title>another site</title>")
    with start_service() as service, another_site(site) as elsewhere:
        own = f"http://{service.host}:{service.port}"
        with chromium.page(tmp_path / "browser") as page:
            page.open(f"{elsewhere}/index.html")
            page.evaluate(SEND.format(url=own))
            page.until("window.sent === true")
            failure(service.client.get("/content/genre/Zz%20Cross"), 404)
            page.open(f"{own}/docs")
            page.evaluate(SEND.format(url=own))
            page.until("window.sent === true")
            made = data(service.client.get("/content/genre/Zz%20Cross"))
            assert len(made["Zz Cross"]) == 1
