"""Paths: another spelling of one that exists is a 404, never a redirect to anywhere."""

import httpx

from tests.each import each
from tests.http.samples import post
from tests.http.service import RunningService
from tests.http.wire import is_refusal, request, talk

ABSENT = [
    *("/home/", "/uuids/", "/videos/", "/healthz/", "/metrics/", "/content/", "/content//"),
    *("/docs/", "/openapi.json/", "//", "//home", "/./home", "/content/../home", "/home/.."),
    *("//evil.example/", "//evil.example/..", "/\\evil.example/", "/%5Cevil.example/"),
    *("/%2F%2Fevil.example", "/content/genre", "/content/genre/", "/HOME", "/Content/x"),
    *("/home;x", "/home%20", "/..%2f..%2fetc/passwd", "/content/x/y", "/home.json"),
    *("/favicon.ico", "/robots.txt", "/.env", "/%", "/%zz", "/%FF", "/home%00", "/home%0A"),
]
UNREADABLE = ["/🎬", "/\xff", "/home\x00", "/home\x7f"]  # as raw bytes
FORGED = ("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "Connection: close")


@each("target", ABSENT)
@each("host", ["localhost", "evil.example"])
def test_what_is_not_a_path_is_not_found(service: RunningService, target: str, host: str) -> None:
    for method, statuses in (("GET", (404,)), ("POST", (404, 405)), ("DELETE", (404, 405))):
        (answer,) = talk(service, request(method, target, *FORGED, host=host)).answers
        assert is_refusal(answer, *statuses)
        assert "location" not in answer.headers
        assert b"evil" not in answer.head + answer.body


@each("target", UNREADABLE)
def test_a_path_of_raw_bytes_is_refused(service: RunningService, target: str) -> None:
    raw = target.encode().decode("latin-1")
    (answer,) = talk(service, request("GET", raw, *FORGED)).answers
    assert is_refusal(answer, 400, 404)


def test_a_row_with_a_slash_behind_it_is_not_found(
    service: RunningService, client: httpx.Client
) -> None:
    row = post(client)
    genre = row["genres"][0].replace(" ", "%20")
    for target in (
        f"/content/{row['id']}/",
        f"/content//{row['id']}",
        f"//content/{row['id']}",
        f"/content/{row['id']}%2F",
        f"/content/genre/{genre}/",
        f"/content/genre//{genre}",
        f"/content/?videoId={row['id']}",
        f"//content/genre/{genre}",
    ):
        (answer,) = talk(service, request("GET", target, "Connection: close")).answers
        assert is_refusal(answer, 404), target
        assert "location" not in answer.headers
    assert client.get(f"/content/{row['id']}").status_code == 200
    assert client.get(f"/content/{row['id']}/", follow_redirects=False).status_code == 404
