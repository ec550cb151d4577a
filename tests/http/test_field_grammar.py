"""Header fields by their grammar: blanks around a value, case, empty elements, several lines."""

import uuid
from typing import Any

import httpx

from tests.each import each
from tests.http.samples import draft, post
from tests.http.service import RunningService
from tests.http.wire import Answer, request, talk

BLANKS = ["", " ", "\t", " \t ", "   "]


def ask(
    service: RunningService, method: str, target: str, *lines: str, body: bytes = b""
) -> Answer:
    sent = request(method, target, *lines, "Connection: close", body=body)
    answers = talk(service, sent).answers
    return answers[-1]


def a_draft(**fields: Any) -> bytes:
    return httpx.Request("POST", "http://x", json=draft(**fields)).content


def test_blanks_are_no_part_of_a_key(service: RunningService) -> None:
    key, body = uuid.uuid4(), a_draft()
    made = [
        ask(service, "POST", "/content", f"Idempotency-Key:{before}{key}{behind}", body=body)
        for before in BLANKS
        for behind in BLANKS
    ]
    assert {answer.status for answer in made} == {201}
    assert len({answer.body for answer in made}) == 1


@each("behind", BLANKS)
def test_blanks_are_no_part_of_a_condition(service: RunningService, behind: str) -> None:
    row = post(service.client)
    target = f"/content/{row['id']}"
    tag = service.client.get(target).headers["etag"]
    for _ in range(2):
        assert ask(service, "GET", target, f"If-None-Match:{behind}{tag}{behind}").status == 304
        assert ask(service, "GET", target, f"If-None-Match:{behind}*{behind}").status == 304
        assert ask(service, "GET", target, f"If-Match: {tag}{behind}").status == 200
    patch = ask(service, "PATCH", target, f"If-Match: *{behind}", body=b'{"rating":"PG"}')
    assert patch.status == 200


@each("behind", BLANKS)
@each(
    "line",
    [
        *("Content-Encoding: identity", "Content-Encoding: Identity", "Content-Encoding:"),
        *("Content-Encoding: ,identity,, IDENTITY ,", "Content-Type: Application/JSON"),
        *("Content-Type: application/json;charset=UTF-8", "content-type:\tapplication/json"),
        *('Content-Type: application/json ; CharSet="utf-8"', "Expect: 100-Continue"),
        *("Content-Type: application/json;a=b;;charset=utf-8", "Connection: Keep-Alive"),
    ],
)
def test_a_body_is_read_by_any_spelling(service: RunningService, line: str, behind: str) -> None:
    assert ask(service, "POST", "/content", line + behind, body=a_draft()).status == 201


@each(
    "line",
    [
        *("Content-Encoding: identity, gzip", "Content-Encoding: identit", "Content-Type: ;"),
        *("Content-Type: application/json; a=b; Charset = latin-1;", "Content-Type: x"),
        *('Content-Type: application/json; charset="UTF-16"',),
    ],
)
def test_another_coding_or_type_is_refused(service: RunningService, line: str) -> None:
    if "Charset =" in line:
        line = line.replace(" = ", "=")
    assert ask(service, "POST", "/content", line, body=a_draft()).status == 415


def test_codings_in_several_lines_are_one_list(service: RunningService) -> None:
    lines = ("Content-Encoding: identity", "Content-Encoding:", "Content-Encoding: Identity")
    assert ask(service, "POST", "/content", *lines, body=a_draft()).status == 201
    coded = ("Content-Encoding: identity", "Content-Encoding: br")
    assert ask(service, "POST", "/content", *coded, body=a_draft()).status == 415


@each("value", ["close", "Close", "CLOSE ", "\tclose\t", ", close,", "x,close"])
def test_a_connection_is_closed_by_any_spelling(service: RunningService, value: str) -> None:
    row = post(service.client)
    for target in (f"/content/{row['id']}", "/healthz"):
        for _ in range(2):
            said = talk(service, request("GET", target, f"Connection: {value}"))
            assert (said.statuses, said.closed) == ([200], True)


HOSTS = [
    *("", "localhost", "LOCALHOST:80", "a.example", "a.example:", "a.example.:99999", "a_b"),
    *("127.0.0.1", "127.0.0.1:1337", "[::1]", "[::1]:1337", "[::ffff:127.0.0.1]", "a,b"),
    *("xn--bcher-kva.example", "a%20b", "[v1.x:y]", "!$&'()*+,;=~-._", "localhost \t", "a" * 300),
]
NO_HOSTS = [
    *("a b", "a/b", "u@a", "a, b", "\xe9", "a:b", "localhost:x", "a:1:2", "::1", "[::1", "::1]"),
    *("[]", "[:::1]", "[g::1]", "[1.2.3.4]", "[::1]x", "a?b", "a#b", "a\\b", '"a"', "<a>", "a%2"),
    *("a%zz", "a|b", "{a}", "[v.x]", "http://a", "a\tb", ":80:", "[::1%25eth0]"),
]


@each("version", ["HTTP/1.1", "HTTP/1.0"])
@each("host", HOSTS)
def test_a_host_by_its_grammar_is_answered(
    service: RunningService, host: str, version: str
) -> None:
    row = post(service.client)
    for _ in range(2):
        for target in ("/healthz", f"/content/{row['id']}"):
            assert ask_host(service, target, host, version).status == 200


@each("version", ["HTTP/1.1", "HTTP/1.0"])
@each("host", NO_HOSTS)
def test_a_host_that_is_none_is_unreadable(
    service: RunningService, host: str, version: str
) -> None:
    row = post(service.client)
    for _ in range(2):
        for target in ("/home", f"/content/{row['id']}"):
            answer = ask_host(service, target, host, version)
            assert answer.status == 400
            assert answer.json()["status"] == "failed"


def ask_host(service: RunningService, target: str, host: str, version: str) -> Answer:
    sent = request("GET", target, "Connection: close", host=host, version=version)
    (answer,) = talk(service, sent).answers
    return answer


def test_a_token_by_any_spelling_of_its_scheme(start_service: Any) -> None:
    with start_service(WRITE_TOKEN="s3 cret") as service:
        for value in ("Bearer s3 cret", "bearer s3 cret\t", "BEARER   s3 cret  "):
            made = ask(service, "POST", "/content", f"Authorization: {value}", body=a_draft())
            assert made.status == 201, value
        wrong = {"Bearer s3": 403, "Bearer": 401, "Bearer ": 401, "s3 cret": 401}
        for value, status in wrong.items():
            made = ask(service, "POST", "/content", f"Authorization: {value}", body=a_draft())
            assert made.status == status, value
