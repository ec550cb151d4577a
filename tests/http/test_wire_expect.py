"""``Expect: 100-continue``: refusals come at once, and a body held back is never a request."""

from tests.http.service import RunningService
from tests.http.wire import is_refusal, request, talk

VIDEO = b'{"title": "x", "genres": ["x"], "isMovie": true}'
EXPECT = "Expect: 100-continue"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = request("GET", "/healthz", "Connection: close")


def test_a_body_that_is_wanted_is_asked_for(service: RunningService) -> None:
    head = request("POST", "/content", EXPECT, f"Content-Length: {len(VIDEO)}")
    waiting = talk(service, head)
    assert (waiting.statuses, waiting.closed) == ([100], False)
    assert talk(service, head, VIDEO + LAST, pause_s=0.3).statuses == [100, 201, 200]


def test_a_body_that_comes_unasked_is_read(service: RunningService) -> None:
    head = request("POST", "/content", EXPECT, f"Content-Length: {len(VIDEO)}")
    assert talk(service, head + VIDEO + LAST).statuses in ([100, 201, 200], [201, 200])


def test_a_refusal_comes_at_once_and_closes(service: RunningService) -> None:
    for refused, status in (
        (request("POST", "/content", EXPECT, "Content-Length: 1073741824"), 413),
        (request("POST", "/nowhere", EXPECT, "Content-Length: 10"), 404),
        (request("PUT", "/home", EXPECT, "Content-Length: 10"), 405),
        (request("PATCH", "/content/x", EXPECT, "Content-Length: 10"), 404),
        (request("POST", "/content", EXPECT, "Content-Length: 70000"), 413),
    ):
        conversation = talk(service, refused)
        assert conversation.statuses == [status]
        assert is_refusal(conversation.answers[0], status)
        assert conversation.answers[0].headers["connection"] == "close"
        assert conversation.closed


def test_the_body_of_a_refusal_is_no_request(service: RunningService) -> None:
    body = SMUGGLED * 600  # 30 kB
    for target in ("/nowhere", "/content"):
        length = f"Content-Length: {len(body)}"
        lines = (EXPECT, length, "Content-Type: text/plain")
        for pieces in (
            (request("POST", target, *lines) + body + LAST,),
            (request("POST", target, *lines), body + LAST),
        ):
            statuses = talk(service, *pieces).statuses
            final = [status for status in statuses if status != 100]
            assert final in ([404], [415], [404, 200], [415, 200])


def test_another_expectation_is_refused_or_ignored(service: RunningService) -> None:
    (answer,) = talk(service, request("GET", "/healthz", "Expect: x", "Connection: close")).answers
    assert answer.status == 200 or is_refusal(answer, 417)
