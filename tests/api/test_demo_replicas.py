"""A title that the demo page changes, and when it sees the change on each replica."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench.lab.processes import free_ports
from bench.lab.targets import Service
from tests.api import chromium
from tests.api.demo_world import FIRST, NAMED, SECOND, TITLES, text

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")

LINES = "[...document.querySelectorAll('#timeline li')].map(line => line.textContent)"
STATE = "document.getElementById('change-state').textContent"
DONE = f"!document.getElementById('change-save').disabled && !/Reading/.test({STATE}) && {STATE}"


@pytest.fixture(scope="module")
def other(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Another replica over the same store; without a near cache, because there is no Redis."""
    port = service.settings["CORS_ORIGINS"].rpartition(":")[2]
    more = {"PORT": port, "NEAR_BYTES": "0", "CORS_ORIGINS": service.url}
    with Service({**service.settings, **more}, tmp_path_factory.mktemp("other")) as other:
        yield other


def with_both(page: chromium.Page, service: Service, other: Service) -> None:
    """Opens the page that knows both replicas, as `make stack` prints it."""
    page.open(f"{service.url}/demo?replica={other.url}")
    page.until(NAMED)
    page.click(SECOND)
    page.until("document.querySelector('#player-about .served') !== null")
    page.press("Escape")


def title_of(service: Service, page: chromium.Page) -> str:
    """The title of the second tile, as the replica answers."""
    video_id = page.evaluate(f"document.querySelector({SECOND!r}).dataset.id")
    row = httpx.get(f"{service.url}/content/{video_id}", trust_env=False).json()["data"]
    return str(row["title"])


def save(page: chromium.Page, title: str) -> str:
    """Changes the title by the form, and returns what the page says of it."""
    page.evaluate(f"document.getElementById('change-title').value = {title!r}")
    page.click("#change-save")
    return str(page.until(DONE))


def test_change_is_shown_by_every_replica_and_undone(
    page: chromium.Page, service: Service, other: Service
) -> None:
    with_both(page, service, other)
    before = title_of(service, page)
    assert page.evaluate("document.getElementById('change-one').hidden")
    assert text(page, "change-name") == before
    said = save(page, "A new title")
    assert said.startswith("Every replica showed it within ")
    assert "No read sent after the acknowledgement found the old title" in said
    first, second, *alone = page.evaluate(LINES)
    assert f"This replica 127.0.0.1:{service.port}" in first
    assert f"Replica 127.0.0.1:{other.port}" in second
    assert len(alone) == 1  # there is no Redis
    assert "A near cache with only its TTL" in alone[0]
    assert "up to 10 min" in alone[0]
    assert title_of(service, page) == title_of(other, page) == "A new title"
    assert page.evaluate(f"document.querySelector({SECOND!r}).textContent") == "A new title"
    page.click("#change-undo")
    page.until(DONE)
    assert title_of(other, page) == before
    assert page.evaluate(f"document.querySelector({SECOND!r}).textContent") == before


def test_replica_that_follows_by_its_ttl_alone_is_seen_to_be_late(
    page: chromium.Page, service: Service, other: Service
) -> None:
    """Without Redis nobody tells the other replica's near cache."""
    other.stop()
    before = other.settings
    other.settings = {**before, "NEAR_BYTES": "1000000", "NEAR_TTL_S": "1"}
    try:
        other.start()
        with_both(page, service, other)
        said = save(page, "A later title")
        assert re.search(r" [0-9]+ reads? sent after the acknowledgement found the old", said)
        page.click("#change-undo")
        page.until(DONE)
    finally:
        other.stop()
        other.settings = before
        other.start()


def test_undo_overwrites_no_change_of_another_writer(
    page: chromium.Page, service: Service, other: Service
) -> None:
    with_both(page, service, other)
    before = title_of(service, page)
    save(page, "A new title")
    video_id = page.evaluate(f"document.querySelector({SECOND!r}).dataset.id")
    path = f"{service.url}/content/{video_id}"
    httpx.patch(path, json={"title": "Theirs"}, trust_env=False).raise_for_status()
    page.click("#change-undo")
    assert "another writer" in str(page.until(DONE))
    assert title_of(service, page) == "Theirs"
    save(page, before)


def test_one_replica_is_shown_alone_and_said_to_be_the_only_one(page: chromium.Page) -> None:
    assert not page.evaluate("document.getElementById('change-one').hidden")
    assert "make stack" in text(page, "change-one")
    name = text(page, "change-name")
    assert name == page.evaluate(f"document.querySelector({FIRST!r}).textContent")
    assert save(page, f"{name}!").startswith("The replica showed it within ")
    assert [line for line in page.evaluate(LINES) if "replica" in line] == page.evaluate(LINES)[:1]
    page.click("#change-undo")
    page.until(DONE)


def test_replica_that_cannot_be_read_is_named(page: chromium.Page, service: Service) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    page.open(f"{service.url}/demo?replica=http://{nobody}&replica=javascript:alert(1)")
    page.until(NAMED)
    said = save(page, f"Title {TITLES - 1}")
    assert said.startswith(f"{nobody} cannot be read by this page")
    assert len([line for line in page.evaluate(LINES) if "eplica" in line]) == 1
    page.faults.clear()  # the policy forbids what no setting allows


def test_change_that_needs_a_token_is_refused_in_words(
    page: chromium.Page, service: Service, tmp_path: Path
) -> None:
    more = {"PORT": str(free_ports(1)[0]), "WRITE_TOKEN": "sesame"}
    with Service({**service.settings, **more}, tmp_path) as guarded:
        page.open(f"{guarded.url}/demo")
        page.until(NAMED)
        assert save(page, "No").startswith("Not allowed: ")
        assert page.evaluate("document.getElementById('change-undo').disabled")
        page.faults.clear()
