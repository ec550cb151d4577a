"""The request line, ``Host``, versions: what RFC 9112 wants, in the envelope, without a trace."""

import httpx
import pytest

from tests.each import each
from tests.http.samples import post
from tests.http.service import RunningService
from tests.http.wire import is_refusal, request, talk

LAST = request("GET", "/healthz", "Connection: close")


def refused(service: RunningService, *pieces: bytes) -> None:
    """The first answer is a 400, the connection ends, and nothing behind it was read."""
    conversation = talk(service, *pieces)
    assert conversation.closed
    assert conversation.statuses == [400]
    assert is_refusal(conversation.answers[0], 400)
    assert conversation.answers[0].headers["connection"] == "close"


@each("target", ["/healthz", "/home", "/content/x", "/nowhere"])
def test_a_request_without_a_host_is_unreadable(service: RunningService, target: str) -> None:
    refused(service, request("GET", target, host=None) + LAST)


@pytest.mark.parametrize("second", ["localhost", "evil.example", ""])
def test_a_request_with_two_hosts_is_unreadable(service: RunningService, second: str) -> None:
    refused(service, request("GET", "/healthz", f"Host: {second}") + LAST)
    refused(service, request("GET", "/healthz", f"host: {second}", version="HTTP/1.0") + LAST)


def test_http_1_0_needs_no_host_and_closes(service: RunningService, client: httpx.Client) -> None:
    row = post(client)
    for target in ("/healthz", f"/content/{row['id']}", "/readyz"):
        conversation = talk(service, request("GET", target, host=None, version="HTTP/1.0"))
        assert (conversation.statuses, conversation.closed) == ([200], True)
    probe = talk(service, b"OPTIONS / HTTP/1.0\r\n\r\n")  # HAProxy's default check
    assert (probe.statuses, probe.closed) == ([204], True)


def test_http_1_0_keeps_alive_when_asked(service: RunningService, client: httpx.Client) -> None:
    row = post(client)
    keep = request("GET", f"/content/{row['id']}", "Connection: keep-alive", version="HTTP/1.0")
    conversation = talk(service, keep, keep)
    first = conversation.answers[0]
    if conversation.closed:
        assert conversation.statuses == [200]
    else:  # or `ab -k` waits for the end
        assert conversation.statuses == [200, 200]
        assert first.headers["connection"].lower() == "keep-alive"


def test_the_absolute_form_is_read(service: RunningService, client: httpx.Client) -> None:
    row = post(client)
    for host in (
        f"{service.host}:{service.port}",
        "localhost",
        "other.example",
        "other.example:8080",
    ):
        target = f"http://{host}/content/{row['id']}"
        (answer,) = talk(service, request("GET", target, "Connection: close", host=host)).answers
        assert answer.status == 200
        assert answer.json()["data"] == row
        query = f"http://{host}/content?videoId={row['id']}"
        (answer,) = talk(service, request("GET", query, "Connection: close", host=host)).answers
        assert answer.json()["data"] == row


@pytest.mark.parametrize("target", ["http://localhost", "http://localhost?x=1", "http://"])
def test_the_absolute_form_without_a_path_is_answered(service: RunningService, target: str) -> None:
    (answer,) = talk(service, request("GET", target, "Connection: close")).answers
    assert answer.status == 200 or is_refusal(answer, 400, 404)


@each(
    "line",
    [
        b"get /healthz HTTP/1.1",
        b"Get /healthz HTTP/1.1",
        b"FOO /healthz HTTP/1.1",
        b"GE T /healthz HTTP/1.1",
        b"GET/healthz HTTP/1.1",
        b"GET healthz HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /healthz HTTP/9.9",
        b"GET /healthz HTTP/1.2",
        b"GET /healthz HTTP/2.0",
        b"GET /healthz HTTP/1",
        b"GET /healthz http/1.1",
        b"GET /healthz",
        b"GET /health\x00z HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 40,
        b"GET ftp://localhost/healthz HTTP/1.1",
        b"GET * HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE /healthz HTTP/1.1",
        b"CONNECT localhost:80 HTTP/1.1",
        b"CONNECT /healthz HTTP/1.1",
        b"GET /healthz#fragment HTTP/1.1",
        b"GET ?x HTTP/1.1",
        b"GET /healthz\tHTTP/1.1",
    ],
)
def test_an_odd_request_line_gets_the_envelope_or_the_end(
    service: RunningService, line: bytes
) -> None:
    conversation = talk(service, line + b"\r\nHost: localhost\r\nX-Mark: MARKED\r\n\r\n" + LAST)
    for answer in conversation.answers:
        assert answer.status < 500 or answer.status in (501, 505)
        assert b"MARKED" not in answer.head + answer.body
        if answer.status >= 400:
            assert is_refusal(answer, answer.status)
    assert conversation.answers or conversation.closed
    assert conversation.closed


@each("method", ["get", "Get", "FOO", "PO\tST"])
def test_an_unknown_method_is_unreadable_or_not_implemented(
    service: RunningService, method: str
) -> None:
    conversation = talk(service, request(method, "/healthz"))
    assert conversation.closed
    assert [is_refusal(answer, 400, 405, 501) for answer in conversation.answers] == [True]


def test_connect_is_refused_and_what_follows_is_no_request(service: RunningService) -> None:
    conversation = talk(service, request("CONNECT", "evil.example:443", host="evil.example") + LAST)
    assert conversation.closed
    assert len(conversation.answers) <= 1
    for answer in conversation.answers:
        assert is_refusal(answer, 400, 404, 405, 501)


@pytest.mark.parametrize(
    "header",
    [
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        b"\r\n".join(
            [
                *(b"Upgrade: websocket", b"Connection: Upgrade"),
                *(b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13"),
            ]
        ),
        b"Upgrade: anything\r\nConnection: upgrade",
    ],
)
def test_an_offer_to_upgrade_is_not_taken_and_loses_no_body(
    service: RunningService, header: bytes
) -> None:
    body = b'{"title": "x", "genres": ["x"], "isMovie": true}'
    head = b"POST /content HTTP/1.1\r\nHost: localhost\r\n" + header
    made = head + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    for pieces in ((made + body,), (made, body)):
        conversation = talk(service, *pieces)
        assert conversation.statuses == [201]
    read = talk(service, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
    assert read.statuses == [200]


def test_requests_sent_at_once_are_answered_in_order(
    service: RunningService, client: httpx.Client
) -> None:
    row = post(client)
    several = [
        request("GET", f"/content/{row['id']}"),
        request("HEAD", f"/content/{row['id']}"),
        request("GET", "/nowhere"),
        request("OPTIONS", "/content"),
        request("POST", "/content", body=b"{"),
        request("GET", f"/content/{row['id']}", "If-None-Match: *"),
        LAST,
    ]
    methods = ["GET", "HEAD", "GET", "OPTIONS", "POST", "GET", "GET"]
    expected = [200, 200, 404, 204, 400, 304, 200]
    whole = talk(service, b"".join(several), methods=methods)
    assert (whole.statuses, whole.closed) == (expected, True)
    stream = b"".join(several)
    bits = [stream[start : start + 61] for start in range(0, len(stream), 61)]
    assert talk(service, *bits, pause_s=0.002, methods=methods).statuses == expected


@each("cut", [1, 3, 10, 40])
def test_a_client_that_goes_away_harms_nobody(service: RunningService, cut: int) -> None:
    stream = request("POST", "/content", body=b'{"title": "x", "genres": ["x"], "isMovie": true}')
    assert not talk(service, stream[:-cut], quiet_s=0.1).answers
    assert talk(service, LAST).statuses == [200]
