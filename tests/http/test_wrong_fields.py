"""What an answer of 422 may cost: at most 20 fields are named, in at most 8 KiB."""

import json
from typing import Any

import httpx
import pytest

from db.video import parse_draft
from errors import FieldError, Invalid
from tests.each import each
from tests.http.samples import draft, failure, post, wrong_fields

BOMBS: dict[str, bytes] = {
    "unknown keys": json.dumps({str(n): 1 for n in range(5_000)}).encode(),
    "long keys": json.dumps({"k" * 3_000 + str(n): 1 for n in range(20)}).encode(),
    "emoji keys": json.dumps({"🎬" * 90 + str(n): 1 for n in range(60)}).encode(),
    "control keys": json.dumps({"\x01" * 90 + str(n): 1 for n in range(60)}).encode(),
    "surrogate keys": b"{" + b",".join(b'"\\ud800%d":1' % n for n in range(4_000)) + b"}",
    "some surrogate keys": b"{" + b",".join(b'"\\ud800%d":1' % n for n in range(50)) + b"}",
    "every field, every case": json.dumps(
        {spell: 5 for name in draft() for spell in (name, name.upper(), name.title())}
    ).encode(),
    "genres": json.dumps(draft(genres=[str(n) for n in range(8_000)])).encode(),
    "cast": json.dumps(draft(cast=[str(n) for n in range(8_000)])).encode(),
    "regions": json.dumps(draft(regions=[5] * 8_000)).encode(),
}


@each("method", ["POST", "PATCH"])
@each("name", BOMBS)
def test_an_answer_is_bounded(client: httpx.Client, name: str, method: str) -> None:
    path = "/content" if method == "POST" else f"/content/{post(client)['id']}"
    assert wrong_fields(client.request(method, path, content=BOMBS[name]))  # and bounded


@each("count", [1, 19, 20, 21, 40, 63, 64])
def test_how_many_more_are_wrong_is_told(client: httpx.Client, count: int) -> None:
    path = f"/content/{post(client)['id']}"
    said: Any = failure(client.patch(path, json={f"x{n}": 1 for n in range(count)}), 422)
    named = [error for error in said["errors"] if error["field"]]
    assert len(said["errors"]) == min(count, 20)
    assert len(named) + said.get("more", 0) == count
    assert [error["field"] for error in named] == [f"x{n}" for n in range(len(named))]


@each("count", [65, 5_000])
def test_a_body_of_too_many_fields_is_refused_whole(client: httpx.Client, count: int) -> None:
    path = f"/content/{post(client)['id']}"
    said: Any = failure(client.patch(path, json={f"x{n}": 1 for n in range(count)}), 422)
    assert said["errors"] == [{"field": "", "message": "has more than 64 fields"}]


def test_a_field_behind_many_is_not_called_missing(client: httpx.Client) -> None:
    body = {**{f"x{n}": 1 for n in range(100)}, **draft()}
    said = failure(client.post("/content", json=body), 422)
    assert not {"title", "genres", "isMovie"} & {error["field"] for error in said["errors"]}


def test_a_field_twice_in_capitals_of_another_script_is_encodable(client: httpx.Client) -> None:
    for body in (b'{"\\ud800a":1,"\\ud800A":1}', b'{"\\u0130":1,"\\u0131":1,"i\\u0307":1}'):
        assert wrong_fields(client.post("/content", content=body))


def test_a_name_that_a_terminal_would_act_on_is_told_by_escapes() -> None:
    with pytest.raises(Invalid) as wrong:
        parse_draft({**draft(), "\x1b]0;é\x07\ud800": 1})
    assert wrong.value.errors == [FieldError(r"\x1b]0;é\x07\ud800", "is not a known field")]
