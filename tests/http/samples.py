"""What tests of the contract send, and what every answer has to look like."""

import re
import uuid
from typing import Any

import httpx

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIMEUUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MOVIE_KEYS = [
    *("id", "lastupdated", "title", "description", "genres", "cast", "director", "duration"),
    *("rating", "releasedate", "isoriginal", "ismovie", "locationuri", "thumbnailurl"),
    *("trailerurl", "regions"),
]
SERIES_KEYS = [*MOVIE_KEYS, "seasons"]

FULL: dict[str, Any] = {
    "title": "Amélie 🎬 | one",
    "description": 'a "quoted"\nline | with \\ and \t',
    "genres": ["Zebra", "Ape", "Ämsel"],
    "cast": ["Zoë", "Ada", "a|b"],
    "director": "Mira Stone",
    "duration": 5400,
    "rating": "PG-13",
    "releaseDate": "07/03/07",
    "isOriginal": False,
    "isMovie": True,
    "locationURI": "https://example.com/v?a=b&c=d",
    "thumbnailURL": "https://example.com/t.png",
    "trailerURL": "https://example.com/t.mp4",
    "regions": ["FR", "CA"],
}
"""A movie with every field, as the original's clients spell them."""


def genre_name(start: str = "genre") -> str:
    """A genre that no other test has."""
    return f"{start} {uuid.uuid4()}"


def draft(**fields: Any) -> dict[str, Any]:
    """A body that may be posted, with these fields."""
    return {"title": "A title", "genres": [genre_name()], "isMovie": True} | fields


def post(client: httpx.Client, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    """A row just made."""
    response = client.post("/content", json=draft(**fields), headers=headers)
    assert response.status_code == 201, response.text
    return data(response, 201)


def data(response: httpx.Response, status: int = 200) -> Any:
    """What an answer of success says."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    envelope = response.json()
    assert list(envelope) == ["status", "data"]
    assert envelope["status"] == "success"
    return envelope["data"]


def failure(response: httpx.Response, status: int, message: str | None = None) -> Any:
    """What an answer of failure says, beside status and message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers or status == 412
    envelope = response.json()
    assert list(envelope)[:2] == ["status", "message"]
    assert envelope.pop("status") == "failed"
    text = envelope.pop("message")
    assert text
    assert isinstance(text, str)
    assert message in (None, text)
    return envelope


def wrong_fields(response: httpx.Response, message: str | None = None) -> list[str]:
    """The names of the fields that a 422 complains of, each with its reason."""
    said = failure(response, 422, message)
    assert list(said) in (["errors"], ["errors", "more"])
    assert len(said["errors"]) <= 20
    assert len(response.content) <= 8_192
    for error in said["errors"]:
        assert list(error) == ["field", "message"]
        assert error["message"]
    return sorted(error["field"] for error in said["errors"])


def next_reference(response: httpx.Response, form: re.Pattern[str]) -> str | None:
    """The reference of ``Link``, which has this form; None on the last page."""
    link = response.headers.get("link")
    if link is None:
        return None
    found = form.fullmatch(link)
    assert found, link
    return found[1]
