"""``WRITE_TOKEN``: who may write, and what is said before and after that is checked."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.lab.targets import ROOT
from tests.http.samples import data, draft, failure, wrong_fields
from tests.http.service import running

TOKEN = "s3cret/+=token"
NONE = ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token " + TOKEN, TOKEN, "bearer"]
WRONG = ["x", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), f'"{TOKEN}"', TOKEN + ",", "x" * 5_000]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running({"WRITE_TOKEN": TOKEN}, tmp_path_factory.mktemp("guarded")) as service:
        yield service.client


def bearer(token: str = TOKEN, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


@pytest.fixture
def row(guarded: httpx.Client) -> Any:
    return data(guarded.post("/content", json=draft(), headers=bearer()), 201)


def writes(client: httpx.Client, row: Any, headers: dict[str, str]) -> list[httpx.Response]:
    url = f"/content/{row['id']}"
    return [
        client.post("/content", json=draft(), headers=headers),
        client.patch(url, json={"title": "New"}, headers=headers),
        client.delete(url, headers=headers),
    ]


def test_the_token_lets_writes_through(guarded: httpx.Client, row: Any) -> None:
    assert [answer.status_code for answer in writes(guarded, row, bearer())] == [201, 200, 200]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_of_any_case(guarded: httpx.Client, row: Any, scheme: str) -> None:
    answers = writes(guarded, row, bearer(scheme=scheme))
    assert [answer.status_code for answer in answers] == [201, 200, 200]


def test_writes_without_a_token_are_unauthorized(guarded: httpx.Client, row: Any) -> None:
    for answer in writes(guarded, row, {}):
        failure(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert data(guarded.get(f"/content/{row['id']}")) == row


@pytest.mark.parametrize("credentials", NONE)
def test_other_credentials_are_none(guarded: httpx.Client, row: Any, credentials: str) -> None:
    for answer in writes(guarded, row, {"Authorization": credentials.strip()}):
        failure(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", WRONG)
def test_a_wrong_token_is_forbidden(guarded: httpx.Client, row: Any, token: str) -> None:
    for answer in writes(guarded, row, bearer(token)):
        failure(answer, 403)
        assert TOKEN not in answer.text
    assert data(guarded.get(f"/content/{row['id']}")) == row


def test_bytes_that_are_no_text_are_forbidden(guarded: httpx.Client) -> None:
    headers = [(b"authorization", b"Bearer \xff\xfe")]
    failure(guarded.post("/content", json=draft(), headers=headers), 403)


def test_a_token_in_the_query_is_none(guarded: httpx.Client) -> None:
    failure(guarded.post(f"/content?access_token={TOKEN}", json=draft()), 401)


def test_reading_needs_none(guarded: httpx.Client, row: Any) -> None:
    for url in (f"/content/{row['id']}", "/home", "/videos", "/uuids", "/healthz", "/metrics"):
        assert guarded.get(url).status_code == 200
        assert guarded.get(url, headers=bearer("wrong")).status_code == 200


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (bearer("wrong"), 403)])
def test_credentials_are_checked_before_everything_but_a_malformed_id(
    guarded: httpx.Client, headers: dict[str, str], status: int
) -> None:
    bodies: list[dict[str, Any]] = [
        {"content": b"{"},
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
        {"content": b" " * 100_000},
        {"json": {"title": 5}},
        {"json": {"title": "x"}, "headers": {"If-Match": '"x"', "Idempotency-Key": "é"}},
    ]
    for options in bodies:
        given = {
            name.encode(): value.encode()
            for name, value in {**options.pop("headers", {}), **headers}.items()
        }
        failure(guarded.post("/content", headers=given, **options), status)
        failure(guarded.patch(f"/content/{uuid.uuid4()}", headers=given, **options), status)
        failure(guarded.patch("/content/x", headers=given, **options), 404)
    failure(guarded.delete(f"/content/{uuid.uuid4()}", headers=headers), status)
    failure(guarded.delete("/content/x", headers=headers), 404)


def test_what_is_wrong_is_said_to_who_may_know(guarded: httpx.Client) -> None:
    assert wrong_fields(guarded.post("/content", json={}, headers=bearer()))
    failure(guarded.post("/content", content=b"{", headers=bearer()), 400)
    failure(guarded.delete(f"/content/{uuid.uuid4()}", headers=bearer()), 404)


def test_a_token_from_a_file_is_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"to ken\r\n")
    with running({"WRITE_TOKEN_FILE": str(path)}, tmp_path) as service:
        client = service.client
        data(client.post("/content", json=draft(), headers=bearer("to ken")), 201)
        failure(client.post("/content", json=draft(), headers=bearer("token")), 403)
        assert "to ken" not in service.log()


@pytest.mark.parametrize(
    "settings",
    [{"WRITE_TOKEN": ""}, {"WRITE_TOKEN_FILE": "/nowhere"}, {"WRITE_TOKEN_FILE": "/dev/null"}],
)
def test_an_unusable_token_refuses_to_start(settings: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "service.py")],
        env={"PORT": "0", "EMBEDDED_PATH": str(tmp_path / "x.sqlite3"), **settings},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "WRITE_TOKEN" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
