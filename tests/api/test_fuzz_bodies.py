"""Whatever a body is, the answer is the envelope: never a 5xx, never what was sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from db.fields import FIELDS, TITLE_MAX
from tests.api.process import IDS

SERIES: dict[str, Any] = {"title": "t", "genres": ["a"], "isMovie": False}
VALID = json.dumps(SERIES).encode()
FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TYPES = [
    None,
    "application/json",
    'Application/JSON; Charset="UTF-8"',
    "application/json; charset=utf-16",
    "application/jsonp",
    "text/plain",
    ";",
]
names = st.sampled_from([*(field.spelling for field in FIELDS), "id", "lastUpdated", "TITLE", ""])
characters = st.characters(codec=None) | st.sampled_from("\x00\ud83d\udc00\ufeff\u2028\x1b")
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**53, 2**63, 2**64, -(2**64), 10**40, 10**400, 10**4000])
    | st.floats()
    | st.text(characters, max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(characters, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
changed = st.dictionaries(names | st.text(characters, max_size=5), values, max_size=5)
bodies = values | changed | changed.map(lambda some: {**SERIES, **some})


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid body with a piece cut out and another put in."""
    start = draw(st.integers(0, len(VALID)))
    end = draw(st.integers(start, min(start + 5, len(VALID))))
    return VALID[:start] + draw(st.binary(max_size=5)) + VALID[end:]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client


def send(client: httpx.Client, body: bytes, media: str | None = None, **more: str) -> set[int]:
    """POSTs and PATCHes the body; returns what was answered."""
    headers = {**more, **({} if media is None else {"Content-Type": media})}
    answers = [
        client.post("/content", content=body, headers=headers),
        client.patch(f"/content/{IDS[0]}", content=body, headers=headers),
    ]
    for answer in answers:
        assert answer.headers["content-type"] == "application/json"
        envelope = answer.json()
        assert envelope["status"] == ("success" if answer.is_success else "failed")
        assert answer.is_success or envelope["message"]
    return {answer.status_code for answer in answers}


def text(body: object, *, escaped: bool = True) -> bytes:
    return json.dumps(body, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


@FUZZ
@given(body=bodies, escaped=st.booleans())
@example(body={**SERIES, "title": "\ud83d"}, escaped=True)
@example(body={**SERIES, "\ud83d\x00": 1}, escaped=True)
@example(body={**SERIES, "x" * TITLE_MAX * 2: 1}, escaped=True)
@example(body={**SERIES, "duration": 10**4000}, escaped=True)
@example(body={**SERIES, "duration": float("nan")}, escaped=True)
@example(body={**SERIES, "genres": [{}], "cast": [[]], "regions": {"a": 1}}, escaped=True)
def test_json_of_any_shape_is_answered(client: httpx.Client, body: Any, escaped: bool) -> None:
    assert send(client, text(body, escaped=escaped)) <= {200, 201, 400, 422}


@FUZZ
@given(body=st.binary(max_size=60) | damaged(), media=st.sampled_from(TYPES))
@example(body=b"\xff\xfe" + VALID.decode().encode("utf-16-le"), media=None)
@example(body=b"\xef\xbb\xbf" + VALID, media=None)
@example(body=VALID * 2, media=None)
@example(body=b"[" * 60_000, media=None)
@example(body=b'{"a":' * 10_000 + b"1" + b"}" * 10_000, media=None)
@example(body=b"1" * 60_000, media=None)
@example(body=b'"\\ud83d' + b"x" * 60_000, media=None)
def test_bytes_of_any_kind_are_answered(client: httpx.Client, body: bytes, media: str) -> None:
    assert send(client, body, media) <= {200, 201, 400, 415, 422}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"title"', 422),
        (b"\xff", 400),
        (VALID[:-1], 400),
        (VALID + VALID, 400),
        (VALID.decode().encode("utf-16"), 400),
        (b'{"title":NaN}', 400),
        (b'{"title":"t","genres":["a"],"isMovie":true,"duration":1' + b"0" * 4_000 + b"}", 400),
        (b'{"title":"t","genres":["a"],"isMovie":true,"duration":1' + b"0" * 5_000 + b"}", 400),
        (b'{"title":Infinity}', 400),
        (b"[" * 60_000, 400),
        (b"[" * 30_000 + b"]" * 30_000, 400),
        (b'{"title":"\\ud83d","genres":["a"],"isMovie":true}', 422),
        (b'{"title":"a\\u0000","genres":["a"],"isMovie":true}', 422),
        (b'{"\\ud83d":1}', 422),
        (b'{"title":"' + b"x" * 65_536 + b'"}', 413),
    ],
)
def test_unreadable_is_told_from_no_video(client: httpx.Client, body: bytes, status: int) -> None:
    assert send(client, body) == {status}


def test_answer_never_has_the_text_that_was_refused(client: httpx.Client) -> None:
    secret = "hunter2" * 3
    for body in (b"{" + secret.encode(), text({**SERIES, "title": [secret]})):
        assert secret not in client.post("/content", content=body).text


def test_nothing_of_it_was_logged_as_trouble(client: httpx.Client, log: Path) -> None:
    assert client.get("/healthz").status_code == 200
    assert all(" INFO " in line for line in log.read_text().splitlines())
