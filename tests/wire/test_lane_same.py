"""The fast lane answers as the app does, byte for byte, whatever a request looks like.

Each case is sent on a connection on which plain requests have gone before, so that the lane knows
their head by heart; twice, lest it learnt too much; and is followed by plain ones, which must find
the connection in order.
"""

from typing import NamedTuple

import pytest

from tests.http.wire import request
from tests.wire.conftest import Warm, heat

KEY, TAG, ID = "{key}", "{tag}", "{id}"
"""Stand for the row's path, tag and id in a case."""
ABSENT = "/content/00000000-0000-4000-8000-000000000000"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
PLAIN = request("GET", KEY)
HOST = b"Host: localhost\r\n"


class Case(NamedTuple):
    """Segments, and the methods of their requests where one is HEAD."""

    pieces: tuple[bytes, ...]
    methods: tuple[str, ...] = ()


def get(*lines: str, target: str = KEY, version: str = "HTTP/1.1", body: bytes = b"") -> Case:
    return Case((request("GET", target, *lines, version=version, body=body),))


def raw(*pieces: bytes) -> Case:
    return Case(pieces)


def head(*lines: str) -> Case:
    return Case((request("HEAD", KEY, *lines),), ("HEAD",))


CONDITIONS = {
    "strong": TAG,
    "weak": f"W/{TAG}",
    "list": f'"x", W/"y,z" , {TAG}',
    "list without": '"x", "y"',
    "any": "*",
    "any, spaced": " * ",
    "any in a list": '*, "x"',
    "stale": '"0-0"',
    "bare": TAG.strip('"'),
    "empty": "",
    "unfinished": '"x',
    "not ascii": '"\xff", {tag}',
}
CONNECTIONS = ["keep-alive", "Keep-Alive", "KEEP-ALIVE", "close", "Close", "keep-alive, x", "x"]
CONNECTIONS += ["close, keep-alive", "upgrade", "", "keep-alive, close", "TE"]
TARGETS = {
    "upper case": "/content/{ID}",
    "query": f"/content?videoId={ID}",
    "query, quoted": f"/content?videoId=%22{ID}%22",
    "query behind a key": f"{KEY}?x=1",
    "several": f"/content?ids={ID}",
    "several, one absent": f"/content?ids={ID},{ABSENT[9:]}",
    "several, in upper case": "/content?ids={ID}",
    "several, twice": f"/content?ids={ID},{ID}",
    "several, fragment": f"/content?ids={ID}#x",
    "several, malformed": f"/content?ids={ID},",
    "several, escaped": f"/content?ids={ID}%2C{ID}",
    "several, with a query": f"/content?ids={ID}&videoId={ID}",
    "several, a genre": "/content?ids=genre/A%2FB",
    "several, too many": "/content?ids=" + ",".join([ID] * 101),
    "empty query": f"{KEY}?",
    "fragment": f"{KEY}#x",
    "slash behind": f"{KEY}/",
    "two slashes": f"/{KEY}",
    "two slashes inside": f"/content//{ID}",
    "escaped": "/content/%{first}{rest}",
    "escaped slash": f"/content%2F{ID}",
    "dots": f"/x/..{KEY}",
    "semicolon": f"{KEY};x",
    "backslash": f"\\{KEY}",
    "absolute": f"http://localhost{KEY}",
    "absolute, elsewhere": f"http://evil.example:8080{KEY}",
    "not a row": "/content/genre",
    "absent": ABSENT,
    "genre": "/content/genre/A%2FB",
    "genre, raw slash": "/content/genre/A/B",
    "genre, lower-case escape": "/content/genre/A%2fB",
    "genre, a letter escaped": "/content/genre/%41%2FB",
    "genre with a blank": "/content/genre/c%20d",
    "genre with a plus": "/content/genre/c+d",
    "genre, query": "/content/genre/A%2FB?x",
    "genre, absent": "/content/genre/nowhere",
    "genre, percent": "/content/genre/100%25",
    "genre, raw percent": "/content/genre/100%",
    "home": "/uuids?limit=1",
    "latin-1": f"{KEY}\xe9",
}
HEADERS = {
    "cookie and friends": ["Cookie: a=b", "Accept: text/html", "User-Agent: x", "Authorization: x"],
    "accept-encoding": ["Accept-Encoding: gzip, br"],
    "priority": ["Priority: u=5"],
    "range": ["Range: bytes=0-3"],
    "if-range": ["Range: bytes=0-3", f"If-Range: {TAG}"],
    "if-match": ['If-Match: "x"'],
    "if-match, any": ["If-Match: *"],
    "if-match that holds": [f'If-Match: "x", {TAG}'],
    "if-match, weak": [f"If-Match: W/{TAG}"],
    "both conditions": [f"If-Match: {TAG}", f"If-None-Match: {TAG}"],
    "a condition, blanks behind": [f"If-None-Match: {TAG} \t"],
    "a condition in two lines": ['If-None-Match: "x"', f"If-None-Match: {TAG}"],
    "a connection, blanks behind": ["Connection: close \t"],
    "a host that is none": ["Host: a b"],
    "a long condition": ["If-None-Match: " + '"",' * 5_000],
    "if-modified-since": ["If-Modified-Since: Wed, 21 Oct 2065 07:28:00 GMT"],
    "cache-control": ["Cache-Control: no-cache, no-store", "Pragma: no-cache"],
    "expect": ["Expect: 100-continue"],
    "another expect": ["Expect: x"],
    "origin": ["Origin: https://a.example"],
    "no value": ["X:", "Y: "],
    "blanks around": ["X: \t y \t "],
    "an override": ["X-HTTP-Method-Override: DELETE"],
    "forwarded": ["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"],
    "an upgrade": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"],
    "a websocket": ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA=="],
    "an upgrade without connection": ["Upgrade: h2c"],
    "content-length 0": ["Content-Length: 0"],
    "content-length 00": ["Content-Length: 00"],
    "content-length twice": ["Content-Length: 0", "Content-Length: 0"],
    "content-length odd": ["Content-Length: +0"],
    "identity": ["Transfer-Encoding: identity"],
    "both lengths": ["Content-Length: 0", "Transfer-Encoding: chunked"],
    "two hosts": ["Host: localhost"],
    "two hosts, one evil": ["Host: evil.example"],
    "a large head": ["X: " + "y" * 17_000],
    "many headers": [f"X{number}: y" for number in range(120)],
}
chunked = request("GET", KEY, "Transfer-Encoding: chunked")
told = request("GET", KEY, f"Content-Length: {len(SMUGGLED)}")
CASES: dict[str, Case] = {
    **{f"if-none-match: {name}": get(f"If-None-Match: {v}") for name, v in CONDITIONS.items()},
    **{f"HEAD, {name}": head(f"If-None-Match: {v}") for name, v in CONDITIONS.items()},
    **{f"connection: {value!r}": get(f"Connection: {value}") for value in CONNECTIONS},
    **{f"target: {name}": get(target=target) for name, target in TARGETS.items()},
    **{f"headers: {name}": get(*lines) for name, lines in HEADERS.items()},
    "HEAD": head(),
    "HEAD, cookie": head("Cookie: a=b"),
    "conditions in two lines": get('If-None-Match: "x"', f"If-None-Match: {TAG}"),
    "connection in two lines": get("Connection: keep-alive", "Connection: close"),
    "1.0": get(version="HTTP/1.0"),
    "1.0, keep-alive": get("Connection: keep-alive", version="HTTP/1.0"),
    "1.0, no host": raw(b"GET {key} HTTP/1.0\r\n\r\n"),
    "1.0, upgrade": get("Connection: upgrade", "Upgrade: h2c", version="HTTP/1.0"),
    "no host": raw(b"GET {key} HTTP/1.1\r\n\r\n"),
    "empty host": raw(b"GET {key} HTTP/1.1\r\nHost:\r\n\r\n"),
    "host last": raw(b"GET {key} HTTP/1.1\r\nX: y\r\n" + HOST + b"\r\n"),
    "names in capitals": raw(
        b"GET {key} HTTP/1.1\r\nHOST:localhost\r\nIF-NONE-MATCH:{tag}\r\n\r\n"
    ),
    "body": get(body=SMUGGLED),
    "body later": raw(told, SMUGGLED),
    "body in two": raw(told + SMUGGLED[:9], SMUGGLED[9:] + PLAIN),
    "chunked": raw(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    "chunked later": raw(chunked, b"5\r\nGET /\r\n", b"0\r\n\r\n"),
    "chunks broken": raw(chunked + b"x\r\n" + SMUGGLED),
    "trailers": raw(chunked + b"0\r\nIf-None-Match: *\r\nHost: x\r\n\r\n"),
    "an empty line before": raw(b"\r\n" + PLAIN),
    "empty lines between": raw(PLAIN + b"\r\n\r\n" + PLAIN + b"\r\n"),
    "a line feed before": raw(b"\n" + PLAIN),
    "learnt behind an empty line": raw(
        b"\r\n" + PLAIN, b"GET {key} HTTP/1.1\r\nGET {key} HTTP/1.1\r\n" + HOST + b"\r\n"
    ),
    "learnt with a line end behind": raw(PLAIN + b"\r\n", PLAIN + b"\r\n", PLAIN),
    "learnt with a return behind": raw(PLAIN + b"\r", b"\n" + PLAIN, PLAIN + b"\r", PLAIN),
    "bare line feeds": raw(b"GET {key} HTTP/1.1\n" + HOST + b"\r\n"),
    "bare line feed at the end": raw(b"GET {key} HTTP/1.1\r\nHost: localhost\n\n"),
    "bare return": raw(b"GET {key} HTTP/1.1\rHost: localhost\r\r"),
    "two blanks": raw(b"GET  {key} HTTP/1.1\r\n" + HOST + b"\r\n"),
    "two blanks behind": raw(b"GET {key}  HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a blank at the end": raw(b"GET {key} HTTP/1.1 \r\n" + HOST + b"\r\n"),
    "a blank at the start": raw(b" GET {key} HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a tab": raw(b"GET\t{key}\tHTTP/1.1\r\n" + HOST + b"\r\n"),
    "lower case": raw(b"get {key} HTTP/1.1\r\n" + HOST + b"\r\n"),
    "version in lower case": raw(b"GET {key} http/1.1\r\n" + HOST + b"\r\n"),
    "no version": raw(b"GET {key}\r\n" + HOST + b"\r\n"),
    "1.2": raw(b"GET {key} HTTP/1.2\r\n" + HOST + b"\r\n"),
    "11.1": raw(b"GET {key} HTTP/11.1\r\n" + HOST + b"\r\n"),
    "two versions": raw(b"GET {key} HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "NUL in the target": raw(b"GET {key}\0 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "NUL in a value": raw(b"GET {key} HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n"),
    "a folded line": raw(b"GET {key} HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n"),
    "a folded first line": raw(b"GET {key} HTTP/1.1\r\n Host: localhost\r\n\r\n"),
    "a blank before the colon": raw(b"GET {key} HTTP/1.1\r\nHost : localhost\r\n\r\n"),
    "no colon": raw(b"GET {key} HTTP/1.1\r\n" + HOST + b"X\r\n\r\n"),
    "no name": raw(b"GET {key} HTTP/1.1\r\n" + HOST + b": x\r\n\r\n"),
    "no head": raw(b"GET {key} HTTP/1.1\r\n\r\n"),
    "not HTTP": raw(b"\x16\x03\x01\x02\x00\x01\x00"),
    **{f"{name} to a key": raw(request(name, KEY)) for name in ("OPTIONS", "PUT", "POST", "TRACE")},
    "CONNECT to a key": raw(request("CONNECT", KEY)),
    "PATCH without a body": raw(request("PATCH", KEY)),
    "an absent row, known by now to be absent": raw(*[request("GET", ABSENT)] * 4),
    "a later body that is a plain request": raw(
        b"GET {key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n", PLAIN
    ),
    "a head that ends like a line": raw(
        b"GET {key} HTTP/1.1\r\nX: ",
        b"GET y\r\n" + HOST + b"\r\n" + PLAIN,
        b"GET {key} HTTP/1.1\r\n" + HOST + b"\r\n" + PLAIN,
    ),
    "two in one": raw(PLAIN + PLAIN),
    "hit, miss, hit in one": raw(PLAIN + request("GET", "/nowhere") + PLAIN),
    "half and half": raw(PLAIN[:20], PLAIN[20:]),
    "line and head apart": raw(b"GET {key} HTTP/1.1\r\n", HOST + b"\r\n"),
    "one and a half": raw(PLAIN + PLAIN[:30], PLAIN[30:]),
}


def fill(piece: bytes, warm: Warm) -> bytes:
    first, rest = warm.row_id[0], warm.row_id[1:]
    for name, value in (
        *(("{key}", warm.key), ("{tag}", warm.etag), ("{id}", warm.row_id)),
        ("{size}", str(len(PLAIN) + len(warm.key) - len(KEY))),
        *(("{ID}", warm.row_id.upper()), ("{first}", f"{ord(first):x}"), ("{rest}", rest)),
    ):
        piece = piece.replace(name.encode(), value.encode())
    return piece


@pytest.mark.parametrize("name", CASES)
def test_the_lane_answers_as_the_app_does(warm: Warm, name: str) -> None:
    case = CASES[name]
    pieces = [fill(piece, warm) for piece in (PLAIN, PLAIN, *case.pieces * 2, PLAIN, PLAIN)]
    pieces.append(request("GET", "/healthz", "Connection: close"))
    methods = ["GET", "GET", *case.methods * 2] if case.methods else []
    # lists and absent rows are kept for 5 s, and may go meanwhile
    is_list = "genre" in name
    for _ in range(3 if is_list or "absent" in name else 1):
        for service in warm.twins if is_list else ():
            heat(service.client, warm.row_id)
        lane, plain = warm.twins.both(*pieces, methods=methods)
        if lane == plain:
            break
    for mine, theirs in zip(lane.heads, plain.heads, strict=False):
        assert mine == theirs
    assert lane == plain
    assert plain.layers[:2] == [warm.hit, warm.hit]
    assert plain.closed
    assert b"smuggled" not in b"".join(plain.bodies)
    assert all(status < 500 or status == 501 for status in plain.statuses)
