"""The forms of ``REDIS_URL``."""

import pytest

from cache.redis.address import Address
from config import Config


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", Address("cache")),
        ("redis://cache/", Address("cache")),
        ("redis://cache:7000/2", Address("cache", 7000, 2)),
        ("redis://:p%40ss@cache", Address("cache", password="p@ss")),
        ("redis://me:pw@[::1]:1", Address("::1", 1, username="me", password="pw")),
        ("redis://cache:7000?db=3", Address("cache", 7000, 3)),
        ("rediss://cache/?db=3", Address("cache", db=3, tls=True)),
        ("rediss://cache", Address("cache", tls=True)),
        ("redis://me:%40%2F%3F%23%25@cache", Address("cache", username="me", password="@/?#%")),
        ("rediss://:pw@/2", Address(db=2, password="pw", tls=True)),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix://:pw@/run/redis.sock?db=3", Address(db=3, password="pw", path="/run/redis.sock")),
    ],
)
def test_a_url_says_where_and_who(url: str, address: Address) -> None:
    assert Config.from_env({"REDIS_URL": url}).redis_url == url
    assert Address.from_url(url) == address


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Address.from_url("redis://:secret@cache"))


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://me:8secret@cache:7/3", "cache:7"),
        ("unix://:8secret@/run/redis.sock", "/run/redis.sock"),
    ],
)
def test_it_is_said_where_redis_is_sought_without_the_password(url: str, where: str) -> None:
    assert str(Address.from_url(url)) == where
