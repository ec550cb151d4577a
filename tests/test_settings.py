"""Settings: what a wrong value is refused for, one by one."""

import pytest

from config import Config
from tests.each import each
from tests.test_config import refusal

NO_ORIGINS = (
    *("", ",", "foo", "https://A.example", "https://a/", "https://a/b", "//a", "null"),
    *("https://*.a.example", "https://*", "https://a:443", "http://a:80", "https://a:0"),
    *("https://é.example", "https://a, b.example", "https://a:123456"),
)
NO_URLS = (
    *("", "http://:secret@cache", "cache:6379", "redis:cache", "redis://cache:0"),
    *("redis://:secret@cache:port", "redis://:secret@[cache", "redis://cache:99999"),
    *("redis://:secret@cache/zero", "redis://:secret@cache/²", "redis://cache/1/2"),
    *("redis://300.1.1.1", "redis://cache/" + "9" * 5_000, "redis://ca,che"),
    *("redis://cache?ssl_cert_reqs=none", "redis://cache?password=secret", "redis://cache/?db="),
    *("redis://cache?db=3&db=4", "redis://cache?db=x", "redis://cache?DB=3"),
    *("redis://cache/2?db=3", "redis://cache/3?db=3", "rediss://cache/2?db=3"),
    *("unix:///run/redis.sock?db=3&timeout=1", "unix://run/redis.sock"),
)
UNESCAPED = (
    *("redis://:8#secret@cache:6379", "redis://:secret@cache#", "rediss://:8#@cache"),
    *("redis://:se/cret@cache", "redis://:8/secret@cache", "redis://:se?cret@cache"),
    *("redis://:8?db=3@cache", "redis://:s@cret@cache", "redis://:100%@cache"),
    *("redis://us/er:secret@cache", "unix://:se#cret@/run/s", "redis://:1%2@cache"),
    *("redis://:secret@cache\n\n", "redis://:se\tcret@cache", "redis://:se cret@cache"),
)
WRONG = {
    "PORT": ["", "x", "-1", "65536", "1.5", "80 80", "٨٠", "0x50", "1e3", "9" * 5_000],
    "WORKERS": ["0", "65", ""],
    "HOST": [
        *("", " ", "300.1.1.1", "1.2.3", "a b", "http://a", "a:80", "::1:x", "[::1]:80", "a/b"),
    ],
    "CASSANDRA_HOST": [
        *("", " ", ",", " , ", "a:9042", "a, b:9042", "cql://a", "a b", "300.1.1.1"),
    ],
    "CASSANDRA_PORT": ["0", "65536", "tcp://10.0.0.1:9042"],
    "CASSANDRA_KEYSPACE": ["", "a-b", "a b", "a;drop", "1a", "x" * 49, "é", '"a"'],
    "CASSANDRA_REPLICATION": ["0", "10", "x"],
    "CASSANDRA_DC": [""],
    "CASSANDRA_PASSWORD": [""],
    "STORE_DEADLINE_S": ["", "0", "0.009", "-1", "x", "nan", "inf", "86401", "1s", "1,5"],
    "WRITE_TOKEN": [""],
    "CORS_ORIGINS": NO_ORIGINS,
    "BODY_MAX_BYTES": ["1023", "64KiB", "-1"],
    "MAX_AGE_S": ["-1", "x", "86401"],
    "ACCESS_LOG": ["2", "yes", "", "true"],
    "LOG_FORMAT": ["", "JSON", "logfmt"],
    "EMBEDDED_PATH": [""],
    "REDIS_HOST": ["", "redis://a", "a:6379", "127.0.0.1:6379", "a b", "a,b", "user@a"],
    "REDIS_PORT": ["0", "tcp://10.0.0.1:6379", "6379/tcp"],
    "REDIS_URL": [*NO_URLS, *UNESCAPED],
    "REDIS_SENTINELS": [
        *("", ",", "a:", ":1", "a:b", "a:0", "redis://a:1", "a:65536", "[]:1", "tcp://a"),
        *("a b:1", "300.1.1.1:1", "a@b:1"),
    ],
    "REDIS_CA": ["", "/nowhere/ca.pem", __file__],
    "CASSANDRA_CA": ["", "/nowhere/ca.pem", __file__, "/"],
    "KEEP_ALIVE_S": ["0", "-1", "1.5", "86401", "600s"],
}


@each(("variable", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_value_is_refused_by_name_and_never_shown(variable: str, text: str) -> None:
    said = refusal({variable: text})
    assert said.startswith(f"{variable} ")
    assert len(said) < 200
    if len(text) > 5:
        assert text not in said


@pytest.mark.parametrize("variable", ["REDIS_CA", "CASSANDRA_CA", "EMBEDDED_PATH"])
def test_an_empty_path_is_to_be_left_unset(variable: str) -> None:
    assert refusal({variable: ""}) == f"{variable} is empty; leave it unset instead"


@pytest.mark.parametrize("url", UNESCAPED)
def test_an_unescaped_character_in_a_url_is_named_with_its_escape(url: str) -> None:
    said = refusal({"REDIS_URL": url})
    assert all(f"%{ord(character):02X}" in said for character in "@/?#%")


@pytest.mark.parametrize("url", ["redis://", "rediss://", "unix://", "unix:///"])
def test_a_url_that_names_nothing_is_refused(url: str) -> None:
    assert refusal({"REDIS_URL": url}).startswith("REDIS_URL ")


@pytest.mark.parametrize("variable", ["REDIS_PORT", "CASSANDRA_PORT"])
def test_a_port_that_kubernetes_set_is_refused_with_the_reason(variable: str) -> None:
    assert "Kubernetes" in refusal({variable: "tcp://10.0.0.1:6379"})


@pytest.mark.parametrize(
    ("text", "host"),
    [
        *(("::1", "::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1%eth0"), (" a ", "a")),
        *(("my_redis-1.example", "my_redis-1.example"), ("tasks.web", "tasks.web"), ("0", "0")),
    ],
)
def test_a_host_is_a_name_or_an_address(text: str, host: str) -> None:
    assert Config.from_env({"HOST": text}).host == host
    assert Config.from_env({"REDIS_HOST": text}).redis_host == host
    assert Config.from_env({"CASSANDRA_HOST": f"b,{text}"}).cassandra_host == ("b", host)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://a.example", "http://localhost:3000", "http://a:443", "https://[::1]:8080"],
)
def test_an_origin_that_a_browser_sends_is_taken(origin: str) -> None:
    assert Config.from_env({"CORS_ORIGINS": origin}).cors_origins == (origin,)


@pytest.mark.parametrize("keyspace", ["content", "Content", "CONTENT_2", "k" * 48])
def test_a_keyspace_is_taken_in_lower_case(keyspace: str) -> None:
    config = Config.from_env({"CASSANDRA_KEYSPACE": keyspace})
    assert config.cassandra_keyspace == keyspace.lower()
