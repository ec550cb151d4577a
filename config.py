"""Settings: a frozen value made from the environment, once, by whoever starts the service.

Every setting is a field below, with the variable that sets it, its unit in its name and the reason
for its default; the README's table is held against this list by a test. ``X_FILE`` reads any
variable ``X`` from a file, without the one line end that editors put there.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class ConfigError(ValueError):
    """A setting that cannot be used; names the variable, never its value."""


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip()
        value = int(digits) if digits.isascii() and digits.isdecimal() else minimum - 1
        if not minimum <= value <= maximum:
            raise ValueError(f"has to be a whole number from {minimum:,} to {maximum:,}")
        return value

    return parse


def _switch(text: str) -> bool:
    return bool(_whole(0, 1)(text))


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 86_400:
        raise ValueError("has to be a number of seconds above 0, at most 86,400")
    return value


def _seconds_or_none(text: str) -> float:
    return 0.0 if float(text) == 0 else _seconds(text)


def _redis_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("redis", "rediss", "unix") or not separator or not rest:
        raise ValueError("has to be a redis://, rediss:// or unix:// URL")
    _ = urlsplit(text).port  # raises ValueError for one that is no number
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _some_names(text: str) -> tuple[str, ...]:
    if names := _names(text):
        return names
    raise ValueError("names nothing; leave it unset instead")


def _filled(text: str) -> str:
    if text:
        return text
    raise ValueError("is empty; leave it unset instead")


def _identifier(text: str) -> str:
    if text.isidentifier() and text.isascii() and len(text) <= 48:
        return text
    raise ValueError("has to be letters, digits and _, at most 48 of them")


def setting(
    variable: str, default: Any, parse: Callable[[str], Any], reason: str, *, secret: bool = False
) -> Any:
    """A field of Config: where it comes from, how it is read, and why its default is what it is."""
    metadata = {"variable": variable, "parse": parse, "reason": reason, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting; see ``setting`` calls for variable and reason."""

    host: str = setting("HOST", "127.0.0.1", _filled, "nothing is served to others unasked")
    port: int = setting("PORT", 1337, _whole(0, 65_535), "the original's port; 0: any free one")
    workers: int = setting("WORKERS", 1, _whole(1, 64), "processes that share the port")
    cassandra_host: tuple[str, ...] = setting(
        "CASSANDRA_HOST", (), _some_names, "contact points, comma-separated; unset: embedded store"
    )
    cassandra_port: int = setting("CASSANDRA_PORT", 9042, _whole(1, 65_535), "Cassandra's default")
    cassandra_dc: str | None = setting(
        "CASSANDRA_DC", None, _filled, "the local data centre; unset: that of the contact point"
    )
    cassandra_keyspace: str = setting(
        "CASSANDRA_KEYSPACE", "content", _identifier, "created when absent"
    )
    cassandra_replication: int | None = setting(
        "CASSANDRA_REPLICATION",
        None,
        _whole(1, 9),
        "for a keyspace that is created; unset: 3 when the data centre has as many nodes, else 1",
    )
    cassandra_username: str | None = setting(
        "CASSANDRA_USERNAME", None, _filled, "unset: no authentication"
    )
    cassandra_password: str | None = setting(
        "CASSANDRA_PASSWORD", None, _filled, "goes with the user name", secret=True
    )
    store_deadline_s: float = setting(
        "STORE_DEADLINE_S", 1.0, _seconds, "a request to Cassandra later than this is a 504"
    )
    redis_host: str | None = setting(
        "REDIS_HOST", None, _filled, "unset, and REDIS_URL too: no Redis"
    )
    redis_port: int = setting("REDIS_PORT", 6379, _whole(1, 65_535), "Redis' default")
    redis_url: str | None = setting(
        "REDIS_URL",
        None,
        _redis_url,
        "instead of host and port, with user, password, database; rediss:// for TLS",
        secret=True,
    )
    redis_deadline_s: float = setting(
        "REDIS_DEADLINE_S", 0.02, _seconds, "a read later than this is a miss"
    )
    redis_ttl_s: float = setting(
        "REDIS_TTL_S", 3_600.0, _seconds, "how long a row stays, less up to 10 % of jitter"
    )
    near_bytes: int = setting(
        "NEAR_BYTES",
        67_108_864,
        _whole(0, 2**40),
        "of finished answers kept in each worker, some 50,000 rows; 0: none",
    )
    near_ttl_s: float = setting(
        "NEAR_TTL_S", 5.0, _seconds, "the bound on staleness if an invalidation is lost"
    )
    fast_lane: bool = setting(
        "FAST_LANE", True, _switch, "near hits are written before they become requests"
    )
    embedded_path: str = setting(
        "EMBEDDED_PATH", "content.sqlite3", _filled, "the SQLite file of the embedded store"
    )
    write_token: str | None = setting(
        "WRITE_TOKEN", None, _filled, "writes need it as a bearer token; unset: no", secret=True
    )
    max_age_s: int = setting(
        "MAX_AGE_S", 0, _whole(0, 86_400), "Cache-Control of rows and lists; 0: no-cache, ask again"
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS", (), _some_names, "origins that browsers may call from; unset: none"
    )
    body_max_bytes: int = setting(
        "BODY_MAX_BYTES", 65_536, _whole(1_024, 16_777_216), "a row is far smaller; above: 413"
    )
    drain_s: float = setting(
        "DRAIN_S",
        2.0,
        _seconds_or_none,
        "after SIGTERM, answering with Connection: close while balancers notice; 0: none",
    )
    access_log: bool = setting("ACCESS_LOG", False, _switch, "a line costs more than a hit")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Reads every setting; raises ConfigError with the variable's name."""
        values = {}
        for field in dataclasses.fields(cls):
            variable = field.metadata["variable"]
            text = _lookup(environ, variable)
            if text is None:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:
                why = (
                    str(error) if str(error).startswith(("has", "is", "names")) else "is malformed"
                )
                raise ConfigError(f"{variable} {why}") from None
        return cls(**values)

    @property
    def cache_control(self) -> bytes:
        """What answers with a validator say of caching."""
        return b"max-age=%d" % self.max_age_s if self.max_age_s else b"no-cache"

    @property
    def redis(self) -> str | None:
        """Where Redis is, as a URL; None: nowhere."""
        if self.redis_url or not self.redis_host:
            return self.redis_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _lookup(environ: Mapping[str, str], variable: str) -> str | None:
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable)
    if variable in environ:
        raise ConfigError(f"{variable} and {variable}_FILE are both set")
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None
    # one line end is the editor's; every other blank may be part of the secret
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise ConfigError(f"{variable}_FILE is empty")
    return text
