"""What an answer from the cache says of itself, a stale one above all."""

import time

import pytest

from cache.entry import Entry
from cache.reads import Answer
from errors import Late
from middleware.cache_lookup import cache_lookup, conditional
from middleware.error_handling import error_handling
from middleware.onion import Context
from tests.middleware.asgi import Sent, onion, receiver, scope_of

PATH = "/content/0b5f9f3a-9f5e-4d2c-8a55-1f2d3c4b5a69"


async def refused(ctx: Context) -> None:
    raise Late()


async def ask(found: Answer | None, *headers: tuple[str, str]) -> Sent:
    async def cached(key: str) -> Answer | None:
        return found

    layer = cache_lookup(cached, b"no-cache")
    app = onion(refused, error_handling(), conditional, layer)
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    scope = scope_of("GET", headers) | {"path": PATH, "query_string": b""}
    await app(scope, receiver([b""]), send)
    start, body = sent
    names: dict[str, str] = {}
    for name, value in start["headers"]:  # type: ignore[attr-defined]
        names[name.decode()] = value.decode()
    return Sent(start["status"], names, body["body"])  # type: ignore[arg-type]


@pytest.mark.parametrize(("past_s", "ttl"), [(0.1, "-1"), (41.5, "-42")])
async def test_a_stale_answer_says_how_stale_it_is_and_how_old(past_s: float, ttl: str) -> None:
    entry = Entry(b"{}", b'"v.1"', time.time() - 60.0 - past_s, 60.0)
    sent = await ask(Answer(entry, "stale"))
    assert (sent.status, sent.body, sent.headers["etag"]) == (200, b"{}", '"v.1"')
    assert sent.headers["cache-status"] == f"content; hit; ttl={ttl}; detail=redis"
    assert int(sent.headers["age"]) == int(60 + past_s)
    assert "warning" not in sent.headers  # obsolete (RFC 9111, 5.5)


async def test_a_client_that_has_a_stale_row_is_told_that_it_is_the_same() -> None:
    entry = Entry(b"{}", b'"v.1"', time.time() - 99.0, 60.0)
    assert (await ask(Answer(entry, "stale"), ("if-none-match", '"v.1"'))).status == 304


async def test_what_is_fresh_says_no_ttl_and_what_is_nowhere_goes_on() -> None:
    sent = await ask(Answer(Entry(b"{}", b'"v.1"', time.time() - 9.0, 60.0), "redis"))
    assert sent.headers["cache-status"] == "content; hit; detail=redis"
    assert sent.headers["age"] == "9"
    assert (await ask(None)).status == 504
