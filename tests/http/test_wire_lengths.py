"""Where a message ends: a body is never answered as a request (RFC 9112, 5 and 6)."""

from urllib.parse import urlencode

import httpx
import pytest

from tests.each import each
from tests.http.samples import post
from tests.http.service import RunningService
from tests.http.wire import Conversation, is_refusal, request, talk

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX: y\r\n\r\n"
LAST = request("GET", "/healthz", "Connection: close")
VIDEO = b'{"title": "x", "genres": ["x"], "isMovie": true}'

AMBIGUOUS = {
    "two different lengths": b"Content-Length: 4\r\nContent-Length: 5",
    "two lengths, the first empty": b"Content-Length: \r\nContent-Length: 5",
    "a list of two": b"Content-Length: 4, 5",
    "a plus": b"Content-Length: +2",
    "a minus": b"Content-Length: -2",
    "hexadecimal": b"Content-Length: 0x2",
    "an underscore": b"Content-Length: 1_0",
    "a fraction": b"Content-Length: 2.0",
    "nothing": b"Content-Length: ",
    "a blank inside": b"Content-Length: 1 0",
    "2^64 + 2": b"Content-Length: 18446744073709551618",
    "a length and chunked": b"Content-Length: 4\r\nTransfer-Encoding: chunked",
    "chunked and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 4",
    "a blank before the colon": b"Transfer-Encoding : chunked",
    "a blank before the length's colon": b"Content-Length : 4",
    "an unknown coding": b"Transfer-Encoding: foo",
    "identity": b"Transfer-Encoding: identity",
    "chunked, not at the end": b"Transfer-Encoding: chunked, gzip",
    "another coding before chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "a letter too many": b"Transfer-Encoding: xchunked",
    "a quoted coding": b'Transfer-Encoding: "chunked"',
    "a tab in the name": b"Transfer-Encoding\t: chunked",
    "NUL in a value": b"X: a\0b\r\nContent-Length: 4",
    "a bare CR in a value": b"X: a\rContent-Length: 4",
    "a bare CR before a length": b"X: a\r\rContent-Length: 4",
    "a folded line": b"X: a\r\n b\r\nContent-Length: 4",
    "a folded length": b"Content-Length:\r\n 4",
    "no colon": b"Content-Length 4",
    "no name": b": x\r\nContent-Length: 4",
    "a name with a blank": b"Content Length: 4",
    "a name that is no token": b"Content-Le\xffngth: 4",
}


def harmless(conversation: Conversation) -> None:
    """Refused with one envelope and the end, or silent for want of the body that was announced."""
    assert len(conversation.answers) <= 1
    for answer in conversation.answers:
        assert is_refusal(answer, 400, 411, 413, 501), answer
        assert conversation.closed


@each("name", AMBIGUOUS)
@each("start", [b"POST /content", b"GET /healthz", b"GET /content/{id}"])
def test_an_ambiguous_length_is_refused(
    service: RunningService, client: httpx.Client, name: str, start: bytes
) -> None:
    start = start.replace(b"{id}", post(client)["id"].encode())
    head = start + b" HTTP/1.1\r\nHost: localhost\r\n" + AMBIGUOUS[name] + b"\r\n\r\n"
    for body in (b"0\r\n\r\n" + SMUGGLED, SMUGGLED, b"{}\r\n" + SMUGGLED):
        conversation = talk(service, head + body)
        harmless(conversation)
        assert conversation.closed
        assert conversation.answers


@pytest.mark.parametrize(
    "lengths", [b"Content-Length: 48\r\nContent-Length: 48", b"Content-Length: 48, 48"]
)
def test_equal_lengths_are_one_or_refused(service: RunningService, lengths: bytes) -> None:
    assert len(VIDEO) == 48
    head = b"POST /content HTTP/1.1\r\nHost: localhost\r\n" + lengths + b"\r\n\r\n"
    conversation = talk(service, head + VIDEO + LAST)
    assert conversation.statuses in ([201, 200], [400])
    assert conversation.closed


CHUNKS = {
    "a size that is no number": b"x\r\n" + VIDEO,
    "a negative size": b"-1\r\n" + VIDEO,
    "0x": b"0x30\r\n" + VIDEO + b"\r\n0\r\n\r\n",
    "a plus": b"+30\r\n" + VIDEO + b"\r\n0\r\n\r\n",
    "a huge size": b"ffffffffffffffff1\r\n" + VIDEO,
    "a size too small": b"5\r\n" + VIDEO + b"\r\n0\r\n\r\n",
    "no line end behind a chunk": b"30\r\n" + VIDEO + b"0\r\n\r\n",
    "a bare LF behind the size": b"30\n" + VIDEO + b"\r\n0\r\n\r\n",
    "a blank behind the size": b"30 \r\n" + VIDEO + b"\r\n0\r\n\r\nX",
    "an empty size": b"\r\n" + VIDEO,
}


@each("name", CHUNKS)
def test_broken_chunks_are_refused(service: RunningService, name: str) -> None:
    head = b"POST /content HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    conversation = talk(service, head + CHUNKS[name] + SMUGGLED)
    assert conversation.closed
    assert 404 not in conversation.statuses
    assert all(
        answer.status == 201 or is_refusal(answer, 400, 413) for answer in conversation.answers
    )
    assert conversation.statuses[-1:] == [400]


def test_chunks_are_put_together(service: RunningService) -> None:
    head = request("POST", "/content", "Transfer-Encoding: chunked")
    pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in (VIDEO[:1], VIDEO[1:20], VIDEO[20:])]
    for end in (b"0\r\n\r\n", b"0\r\nX-Trailer: x\r\n\r\n", b"000;a=b\r\n\r\n"):
        assert talk(service, head, *pieces, end + LAST).statuses == [201, 200]
        assert talk(service, head + b"".join(pieces) + end + LAST).statuses == [201, 200]


def test_a_get_with_a_body_is_answered_and_the_body_skipped(
    service: RunningService, client: httpx.Client
) -> None:
    row, other = post(client), post(client)
    form = urlencode({"videoId": other["id"]}).encode()
    near = f"/content/{row['id']}"
    client.get(near)  # whatever cache there is has it now
    told = request("GET", near, body=SMUGGLED)
    chunked = request("GET", near, "Transfer-Encoding: chunked")
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    head, body = told[: -len(SMUGGLED)], told[-len(SMUGGLED) :]
    empty = request("GET", near, "Content-Length: 0")
    typed = request(
        "GET",
        f"/content?videoId={row['id']}",
        "Content-Type: application/x-www-form-urlencoded",
        body=form,
    )
    for pieces in (
        (told + LAST,),
        (head, body + LAST),
        (head, body[:7], body[7:], LAST),
        (chunked + LAST,),
        (chunked[:-5], chunked[-5:] + LAST),
        (empty + LAST,),
        (typed + LAST,),
        (told + told + chunked + LAST,),
    ):
        conversation = talk(service, *pieces, pause_s=0.4 if pieces[0] == head else 0.05)
        assert conversation.closed
        assert conversation.answers
        if conversation.statuses[-1] == 400:
            assert conversation.statuses == [400]
            continue
        assert conversation.statuses[-1] == 200
        assert conversation.answers[-1].body == b'{"status":"success"}'
        for answer in conversation.answers[:-1]:
            assert answer.json()["data"] == row


@each(
    "refused",
    [
        request("POST", "/nowhere", body=SMUGGLED),
        request("PUT", "/home", body=SMUGGLED),
        request("PATCH", "/content/x", body=SMUGGLED),
        request("DELETE", "/content/x", body=SMUGGLED),
        request("POST", "/content", "Content-Type: text/plain", body=SMUGGLED),
        request("POST", "/content", "Content-Encoding: gzip", body=SMUGGLED),
        request("POST", "/content", body=SMUGGLED),
        request("OPTIONS", "/content", body=SMUGGLED),
        request("HEAD", "/nowhere", body=SMUGGLED),
        request("POST", "/content", body=SMUGGLED * 2_000),
    ],
)
def test_the_body_of_a_refused_request_is_no_request(
    service: RunningService, refused: bytes
) -> None:
    method = refused.split(b" ", 1)[0].decode()
    conversation = talk(service, refused + LAST, methods=[method])
    statuses = conversation.statuses
    assert statuses[0] in (204, 400, 404, 405, 413, 415)
    assert conversation.closed
    assert statuses[1:] in ([200], [])  # the next request, or the end of the connection
    if not statuses[1:]:
        assert conversation.answers[0].headers["connection"] == "close"


def test_a_body_that_never_comes_holds_nobody_else(service: RunningService) -> None:
    waiting = talk(service, request("POST", "/content", "Content-Length: 10"), quiet_s=0.2)
    assert (waiting.answers, waiting.closed) == ([], False)
    made = talk(service, request("POST", "/content", "Connection: close", body=VIDEO))
    assert made.statuses == [201]
