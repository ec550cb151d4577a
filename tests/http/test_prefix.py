"""Behind a proxy that strips a path prefix, every reference in an answer leads back to it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.http.conftest import StartsService
from tests.http.samples import data, draft
from tests.http.service import RunningService

PREFIX = "/api"
HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding"}


class Prefixed(ThreadingHTTPServer):
    """Like ``location /api/ { proxy_pass http://upstream/; }``: it changes no header."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Forwards)
        self.client = httpx.Client(base_url=upstream, trust_env=False)
        self.url = f"http://127.0.0.1:{self.server_port}{PREFIX}"


class Forwards(BaseHTTPRequestHandler):
    """Sends each request on without the prefix; a path without it is 404."""

    server: Prefixed

    def forward(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        sent = {name: text for name, text in self.headers.items() if name.lower() not in HOP_BY_HOP}
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        target = self.path.removeprefix(PREFIX)
        answer = self.server.client.request(self.command, target, headers=sent, content=body)
        self.send_response_only(answer.status_code)
        for name, text in answer.headers.items():
            if name not in HOP_BY_HOP | {"content-encoding"}:
                self.send_header(name, text)
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PATCH = do_DELETE = forward

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def behind_prefix(service: RunningService) -> Iterator[str]:
    """The address of the service behind the prefix, while the block lasts."""
    with Prefixed(f"http://{service.host}:{service.port}") as proxy, proxy.client:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield proxy.url
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def web() -> Iterator[httpx.Client]:
    """A client of any address: one, since each takes a while to be made."""
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def prefixed(service: RunningService) -> Iterator[str]:
    with behind_prefix(service) as url:
        yield url


def test_location_of_a_new_row_leads_to_it(web: httpx.Client, prefixed: str) -> None:
    made = web.post(f"{prefixed}/content", json=draft())
    row = data(made, 201)
    location = urljoin(str(made.url), made.headers["location"])
    assert location == f"{prefixed}/content/{row['id']}"
    assert data(web.get(location)) == row


def test_links_lead_from_page_to_page(web: httpx.Client, start_service: StartsService) -> None:
    with start_service() as service, behind_prefix(service) as prefixed:
        mine = {data(web.post(f"{prefixed}/content", json=draft()), 201)["id"] for _ in range(5)}
        url, met = f"{prefixed}/uuids?limit=2", list[str]()
        while url:
            page = web.get(url)
            met += data(page)
            same = web.get(url, headers={"If-None-Match": page.headers["etag"]})
            assert same.status_code == 304
            assert same.headers.get("link") == page.headers.get("link")
            following = page.links.get("next", {}).get("url")
            url = urljoin(url, following) if following else ""
    assert sorted(met) == sorted(mine)


def test_server_of_the_contract_is_the_address_that_it_was_read_from(
    web: httpx.Client, prefixed: str
) -> None:
    document = web.get(f"{prefixed}/openapi.json")
    (server,) = document.json()["servers"]
    base = urljoin(str(document.url), server["url"]).rstrip("/")
    assert base == prefixed
    for path, item in document.json()["paths"].items():
        if "get" in item and "{" not in path:
            assert web.get(base + path).status_code in (200, 400)  # /content has no videoId


REFERENCES = re.compile(
    r"""(?:src|href)="([^"]*)"|\burl: "([^"]*)"|(?:fetch|get)\([`"]([\w/.-]*)|from "([^"]*)"|"""
    r"""import "([^"]*)"|url\(["']?(?!data:)([^"')]*)"""
)


@pytest.mark.parametrize("page", ["docs", "demo"])
def test_pages_and_their_scripts_stay_behind_the_prefix(
    web: httpx.Client, start_service: StartsService, page: str
) -> None:
    with start_service(DEMO="1") as service, behind_prefix(service) as url:
        check_page(web, url, f"{url}/{page}")


def check_page(web: httpx.Client, prefixed: str, address: str) -> None:
    """Follow each reference of the page and of its own files. Requests of a script are relative to
    the page, imports are relative to the script."""
    left, seen = [address], set[str]()
    while left:
        url = left.pop()
        seen.add(url)
        answer = web.get(url)
        assert answer.status_code == 200, url
        if "swagger-ui" in url or "image" in answer.headers["content-type"]:
            continue
        for found in REFERENCES.finditer(answer.text):
            kind, reference = next((n, text) for n, text in enumerate(found.groups()) if text)
            base = url if kind in (0, 3, 4, 5) else address
            target = urljoin(base, reference)
            assert target.startswith(f"{prefixed}/"), (url, reference)
            is_file = urlsplit(target).path.endswith((".js", ".css", ".svg", ".png"))
            if is_file and target not in seen:
                left.append(target)
    assert len(seen) > 4
