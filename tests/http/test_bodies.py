"""Request bodies: unreadable, too large, of another type, or readable and no video; never a 500."""

import functools
import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import data, draft, failure, post, wrong_fields

MAX_BYTES = 65_536
MARK = "MARKED"
UNREADABLE = {
    "nothing": b"",
    "blanks": b" \n\t",
    "cut off": b'{"title": "MARKED',
    "cut off in a list": b'{"genres": ["MARKED",',
    "two documents": b'{"title": "MARKED"}{"title": "x"}',
    "a comma too many": b'{"title": "MARKED",}',
    "a comment": b'{"title": "MARKED"} // x',
    "single quotes": b"{'title': 'MARKED'}",
    "NaN": b'{"duration": NaN, "title": "MARKED"}',
    "Infinity": b'{"duration": Infinity, "title": "MARKED"}',
    "-Infinity": b'{"duration": -Infinity}',
    "an octal": b'{"duration": 007}',
    "brackets": b"[" * 60_000,
    "braces": b'{"a":' * 10_000,
    "balanced brackets": b"[" * 30_000 + b"]" * 30_000,
    "a raw NUL": b'{"title": "MARKED\0"}',
    "a raw line end": b'{"title": "MARKED\n"}',
    "NUL before": b"\0{}",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "a byte order mark alone": b"\xef\xbb\xbf",
    "arrays in arrays": b'{"cast": [' + b"[]," * 20_000 + b"[]]}",
    "UTF-16": '{"title": "MARKED"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"title": "MARKED"}'.encode("utf-16-be"),
    "Latin-1": '{"title": "MARKED é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"title": "\xc0\xafMARKED"}',
    "a surrogate in UTF-8": b'{"title": "\xed\xa0\xbdMARKED"}',
    "gzip": gzip.compress(b'{"title": "MARKED"}'),
    "a form": b"title=MARKED&isMovie=true",
    "text": b"MARKED",
    "half an escape": b'{"title": "\\ud8',
    "a wrong escape": b'{"title": "\\x41MARKED"}',
}
NO_VIDEO = {
    "a byte order mark": b"\xef\xbb\xbf{}",
    "surrogate keys": b"{" + b",".join(b'"\\ud800%d":1' % i for i in range(4_000)) + b"}",
    "two surrogate keys": b'{"\\ud800a": 1, "\\ud800A": 1}',
    "null": b"null",
    "true": b"true",
    "an array": b"[]",
    "a string": b'"MARKED"',
    "a number": b"1e2",
    "an empty object": b"{}",
    "half an emoji": b'{"title": "MARKED \\ud83d", "genres": ["x"], "isMovie": true}',
    "the other half": b'{"title": "\\udfac MARKED", "genres": ["x"], "isMovie": true}',
    "half an emoji in a list": b'{"title": "x", "genres": ["\\ud83d"], "isMovie": true}',
    "a NUL": b'{"title": "MARKED\\u0000", "genres": ["x"], "isMovie": true}',
    "a NUL key": b'{"\\u0000": 1}',
    "a surrogate key": b'{"\\ud800": 1}',
    "a long key": b'{"%b": 1}' % (b"k" * 60_000),
    "many keys": json.dumps({f"key{number}": 1 for number in range(4_000)}).encode(),
    "a deep value": b'{"title": %b}' % (b"[" * 500 + b"]" * 500),
    "a number too large": b'{"duration": 18446744073709551616}',
}


@pytest.fixture(params=["POST", "PATCH"])
def url(request: pytest.FixtureRequest, client: httpx.Client) -> tuple[str, str]:
    """A method and where to send it."""
    return (
        request.param,
        "/content" if request.param == "POST" else f"/content/{post(client)['id']}",
    )


def send(client: httpx.Client, url: tuple[str, str], body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.request(*url, content=body, headers=named)
    assert client.get("/healthz").status_code == 200
    return answer


def valid(**fields: Any) -> bytes:
    return json.dumps(draft(**fields)).encode()


@each("name", UNREADABLE)
def test_what_is_no_json_is_unreadable(
    client: httpx.Client, url: tuple[str, str], name: str
) -> None:
    answer = send(client, url, UNREADABLE[name])
    failure(answer, 400)
    assert MARK not in answer.text


@each("name", NO_VIDEO)
def test_json_that_is_no_video_is_invalid(
    client: httpx.Client, url: tuple[str, str], name: str
) -> None:
    answer = send(client, url, NO_VIDEO[name])
    assert wrong_fields(answer)
    assert MARK not in answer.text


NUMBERS = [b"1e400", b"-1e400", b"1e-400", b"1e5", b"-0", b"0.0", b"-0.0", b"9" * 5_000]


@each("number", NUMBERS)
def test_a_number_that_is_no_integer_is_refused(
    client: httpx.Client, url: tuple[str, str], number: bytes
) -> None:
    body = b'{"title": "x", "genres": ["x"], "isMovie": true, "duration": %b}' % number
    answer = send(client, url, body)
    if number == b"-0":  # which is the integer 0
        assert answer.json()["data"]["duration"] == 0
    else:
        assert answer.status_code in (400, 422)


@each(
    "content_type",
    [
        None,
        "application/json",
        "Application/JSON",
        'Application/JSON; Charset="UTF-8"',
        "application/json;charset=utf-8",
        "application/json ; charset=UTF-8",
        "application/json; charset=utf8",
        "application/json; profile=x",
        "application/json;",
    ],
)
def test_json_by_any_spelling_is_read(
    client: httpx.Client, url: tuple[str, str], content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content_type": content_type}
    assert send(client, url, valid(), **headers).json()["status"] == "success"


@each(
    "content_type",
    [
        "",
        "application/jsonp",
        "application/json5",
        "application",
        "json",
        "text/json",
        "text/plain",
        "text/plain; application/json",
        "application/vnd.api+json",
        "application/json, text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/octet-stream",
        "*/*",
    ],
)
def test_another_type_is_refused_and_the_wanted_one_named(
    client: httpx.Client, url: tuple[str, str], content_type: str
) -> None:
    for body in (valid(), b"{"):
        answer = send(client, url, body, content_type=content_type)
        failure(answer, 415)
        if "utf-16" not in content_type and "latin" not in content_type:
            assert "application/json" in answer.json()["message"]


@functools.cache
def bomb() -> bytes:
    return gzip.compress(b" " * 30_000_000)


@each("coding", ["gzip", "GZIP", "deflate", "br", "x", "gzip, gzip"])
def test_a_coded_body_is_refused(client: httpx.Client, url: tuple[str, str], coding: str) -> None:
    for body in (gzip.compress(valid()), bomb(), valid(), b""):
        failure(send(client, url, body, content_encoding=coding), 415)


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def test_a_body_up_to_the_limit_is_read(client: httpx.Client, url: tuple[str, str]) -> None:
    body = valid().ljust(MAX_BYTES)
    assert send(client, url, body).json()["status"] == "success"
    chunked = client.request(*url, content=chunks(valid().ljust(MAX_BYTES)))
    assert chunked.json()["status"] == "success"


def test_a_body_above_the_limit_is_too_large(client: httpx.Client, url: tuple[str, str]) -> None:
    body = valid().ljust(MAX_BYTES + 1)
    failure(send(client, url, body), 413)
    failure(client.request(*url, content=chunks(body)), 413)
    # before its type, its coding and its content are looked at
    failure(send(client, url, body, content_type="text/plain", content_encoding="gzip"), 413)
    failure(send(client, url, b"[" * 100_000), 413)


def test_the_limit_is_a_setting(start_service: Any) -> None:
    with start_service(BODY_MAX_BYTES="1024") as service:
        client = service.client
        data(client.post("/content", content=valid().ljust(1_024)), 201)
        failure(client.post("/content", content=valid().ljust(1_025)), 413)


def test_a_type_is_refused_before_what_cannot_be_read(
    client: httpx.Client, url: tuple[str, str]
) -> None:
    failure(send(client, url, b"", content_type="text/plain"), 415)
    failure(send(client, url, b"{", content_encoding="gzip"), 415)
