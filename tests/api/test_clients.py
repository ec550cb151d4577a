"""Clients that `docs/api.md`'s commands generate read, create, change and delete rows."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.process import GENRES, IDS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/api.md").read_text().partition("\n## Clients\n")[2].partition("\n## ")[0]
ADDRESS = "http://127.0.0.1:1337"
DRAFT: dict[str, Any] = {"title": "made by a client", "genres": ["Drama"], "cast": ["Ada Vale"]}


@pytest.fixture(scope="module")
def generated(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The clients of the commands, which are run as they stand, can be imported."""
    [commands] = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    assert ADDRESS in commands
    folder = tmp_path_factory.mktemp("clients")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", commands.replace(ADDRESS, url)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "missing" not in output, output  # a warning that a part of the contract is left out
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


@pytest.fixture
def models(generated: None) -> ModuleType:
    return importlib.import_module("content_models")


def operation(name: str) -> ModuleType:
    """Return the module of an operation of the generated package."""
    return importlib.import_module(f"content_client.api.content.{name}")


@pytest.fixture
def client(generated: None, url: str) -> Iterator[Any]:
    with importlib.import_module("content_client").Client(base_url=url) as client:
        yield client


def test_a_client_reads_rows_lists_and_home_pages(client: Any) -> None:
    answer = operation("get_video").sync_detailed(
        IDS[0], client=client, priority="u=5", x_request_id="mine"
    )
    row = answer.parsed.data
    assert (str(row.id), row.cast, row.ismovie) == (IDS[0], [], True)
    assert answer.headers["x-request-id"] == "mine"
    several = operation("get_videos").sync(client=client, ids=f"{IDS[0]},{UUID(int=1)}").data
    assert several.additional_properties == {IDS[0]: row, str(UUID(int=1)): None}
    assert operation("get_videos").sync(client=client, video_id=IDS[0]).data == row
    listed = operation("get_genre").sync(GENRES[1], client=client).data
    assert str(listed[GENRES[1]][0]) in IDS
    assert set(operation("get_genres").sync(client=client).data) == set(GENRES)
    home = operation("get_home").sync(client=client).data.home_page
    assert {genre for each in home for genre in each.additional_keys} == set(GENRES)
    assert UUID(IDS[1]) in operation("get_video_ids").sync(client=client).data
    assert str(operation("get_random_video_id").sync(client=client).data) in IDS


def test_a_client_is_told_what_failed(client: Any) -> None:
    answer = operation("get_video").sync_detailed(UUID(int=1), client=client)
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert (answer.parsed.status, answer.parsed.message) == ("failed", "Not Found")


def test_a_client_creates_changes_and_deletes_a_row(client: Any) -> None:
    bodies = importlib.import_module("content_client.models")
    draft = bodies.Draft(**DRAFT, is_movie=True, rating="PG", director="Mira Stone")
    made = operation("create_video").sync(client=client, body=draft).data
    assert (made.cast, made.rating, made.director) == (["Ada Vale"], "PG", "Mira Stone")
    body = bodies.Changes(rating=None)
    changed = operation("update_video").sync(made.id, client=client, body=body).data
    assert changed.lastupdated != made.lastupdated
    made.rating, made.lastupdated = None, changed.lastupdated
    assert changed == made
    overtaken = bodies.Changes(duration=60, last_updated=UUID(IDS[0]))
    assert operation("update_video").sync(made.id, client=client, body=overtaken).errors
    assert operation("delete_video").sync(made.id, client=client).data.id == made.id
    assert operation("get_video").sync(made.id, client=client).status == "failed"


def test_models_hold_what_is_read_and_make_what_is_sent(models: Any, url: str) -> None:
    with httpx.Client(base_url=url) as http:
        draft = models.Draft(**DRAFT, isMovie=True, rating="PG").model_dump(mode="json")
        made = models.VideoEnvelope.model_validate(http.post("/content", json=draft).json()).data
        assert (made.cast, made.rating, made.director) == (["Ada Vale"], "PG", None)
        body = models.Changes(rating=None).model_dump(mode="json", exclude_unset=True)
        answer = http.patch(f"/content/{made.id}", json=body)
        changed = models.VideoEnvelope.model_validate(answer.json()).data
        assert changed.model_dump(exclude={"lastupdated"}) == {
            **made.model_dump(exclude={"lastupdated"}),
            "rating": None,
        }
        home = models.HomeEnvelope.model_validate(http.get("/home").json())
        assert {genre for each in home.data.homePage for genre in each.root} == set(GENRES)
        deleted = http.delete(f"/content/{made.id}")
        assert models.DeletedEnvelope.model_validate(deleted.json()).data.id == made.id
        missing = http.get(f"/content/{made.id}")
        assert models.Failure.model_validate(missing.json()).message == "Not Found"
