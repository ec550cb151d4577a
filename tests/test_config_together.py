"""Settings that have to fit each other: where Redis is, and who is believed."""

from pathlib import Path

import pytest

from config import Config, ConfigError
from tests.certificates import Authority

SECRET = "s3cr3t-value"


def test_sentinels_are_hosts_with_or_without_a_port() -> None:
    config = Config.from_env({"REDIS_SENTINELS": "a, b:1,[::1]:2,[::2]"})
    assert config.redis_sentinels == (("a", 26_379), ("b", 1), ("::1", 2), ("::2", 26_379))
    config = Config.from_env({"REDIS_SENTINELS": "a", "REDIS_URL": "rediss://:pw@/2"})
    assert config.redis_url == "rediss://:pw@/2"


@pytest.mark.parametrize(
    "environ", [{"REDIS_HOST": "a"}, {"REDIS_URL": "redis://a"}, {"REDIS_SENTINELS": "a"}]
)
def test_a_redis_is_named_in_three_ways(environ: dict[str, str]) -> None:
    assert Config.from_env(environ).has_redis
    assert not Config.from_env({"REDIS_PORT": "1"}).has_redis


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"REDIS_SENTINELS": "a"}, {"REDIS_HOST": "b"}),
        ({"REDIS_HOST": "a"}, {"REDIS_URL": "redis://:s3cr3t-value@b"}),
        ({"REDIS_SENTINELS": "a"}, {"REDIS_URL": "redis://:s3cr3t-value@b"}),
        ({"REDIS_SENTINELS": "a"}, {"REDIS_URL": "unix:///s3cr3t-value"}),
        ({"REDIS_CA": "ca.pem"}, {"REDIS_URL": "redis://:s3cr3t-value@b"}),
        ({"REDIS_CA": "ca.pem"}, {"REDIS_HOST": "b"}),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    one: dict[str, str], other: dict[str, str], tmp_path: Path
) -> None:
    if "REDIS_CA" in one:
        one = {"REDIS_CA": str(Authority(tmp_path, "ca").ca)}
        assert Config.from_env({**one, "REDIS_URL": "rediss://b"}).redis_ca
    said = refused(one | other)
    assert next(iter(one)) in said
    assert SECRET not in said


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    return str(caught.value)


def test_a_user_of_cassandra_has_a_password_and_a_password_a_user() -> None:
    for one in ({"CASSANDRA_USERNAME": "me"}, {"CASSANDRA_PASSWORD": SECRET}):
        said = refused(one)
        assert "CASSANDRA_USERNAME and CASSANDRA_PASSWORD" in said
        assert SECRET not in said
