"""The forms of ``REDIS_URL``."""

from __future__ import annotations

import pytest

from cache.address import Address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("cache")),
        ("redis://cache/", Address("cache")),
        ("redis://cache:7000/2", Address("cache", 7000, 2)),
        ("redis://:p%40ss@cache", Address("cache", password="p@ss")),
        ("redis://me:pw@[::1]:1", Address("::1", 1, username="me", password="pw")),
        ("rediss://cache", Address("cache", tls=True)),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix://:pw@/run/redis.sock?db=3", Address(db=3, password="pw", path="/run/redis.sock")),
    ],
)
def test_a_url_says_where_and_who(url: str, address: Address) -> None:
    assert Address.from_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "http://:secret@cache",
        "cache:6379",
        "redis://:secret@cache:port",
        "redis://:secret@cache/zero",
        "redis://:secret@cache/²",
        "redis://:secret@[cache",
        "unix://",
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|names)") as caught:
        Address.from_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Address.from_url("redis://:secret@cache"))


def test_a_password_alone_is_that_of_the_default_user() -> None:
    assert Address(password="pw").credentials() == ("AUTH", "default", "pw")
    assert Address().credentials() == ()
