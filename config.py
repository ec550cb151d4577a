"""Settings: a frozen value, made from the environment once, at the start of the service.

Every setting is a field of ``Config``, with its default, its parser and its unit in its name. The
variable that sets it is its name in capitals. ``X_FILE`` names a file with the value of the
variable ``X``. docs/configuration.md tells the meaning of each.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class ConfigError(ValueError):
    """A setting that cannot be used. The text has the variable's name, never its value."""


def lookup(environ: Mapping[str, str], variable: str) -> str | None:
    """Return the text of ``variable``, or of the file that ``variable_FILE`` names.

    Return None if neither is set. Raise ConfigError.
    """
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable)
    if variable in environ:
        raise ConfigError(f"{variable} and {variable}_FILE are both set")
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None
    # editors add one line end; every other blank may be part of the secret
    if text := re.sub(r"\r?\n\Z", "", text):
        return text
    raise ConfigError(f"{variable}_FILE is empty")


@dataclass(frozen=True)
class Number:
    """A parser of numbers of the type ``kind``, from ``minimum`` to ``maximum``, both included."""

    minimum: float
    maximum: float
    kind: type[int] | type[float] = int

    @property
    def bounds(self) -> str:
        return f"{self.minimum:,} to {self.maximum:,}"

    def __call__(self, text: str) -> Any:
        if "://" in text:  # REDIS_PORT=tcp://10.0.0.1:6379 if a service is named redis
            raise ConfigError(
                "is a URL, as Kubernetes sets it for a service of that name:"
                " rename the service, or set enableServiceLinks to false"
            )
        with suppress(ValueError):
            value = self.kind(text)
            if self.minimum <= value <= self.maximum and text.isascii():
                return value
        noun = "a whole number" if self.kind is int else "a number"
        raise ConfigError(f"has to be {noun} from {self.bounds}")


def matching(pattern: str, complaint: str) -> Callable[[str], str]:
    """Return a parser of texts that match ``pattern``, which refuses others with ``complaint``."""

    def parse(text: str) -> str:
        if re.fullmatch(pattern, text):
            return text
        raise ConfigError(complaint)

    return parse


def each(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of lists, separated by commas, whose items ``parse`` reads."""

    def parse_each(text: str) -> tuple[Any, ...]:
        if found := tuple(parse(item.strip()) for item in text.split(",") if item.strip()):
            return found
        raise ConfigError("names nothing; leave it unset instead")

    return parse_each


def switch(text: str) -> bool:
    """Return whether a switch is on."""
    if text.strip() in ("0", "1"):
        return text.strip() == "1"
    raise ConfigError("has to be 0 or 1")


def certificates(path: str) -> str:
    """Return the path of a PEM file. Read it now, as a wrong file would look like an outage."""
    try:
        ssl.create_default_context(cafile=filled(path))
    except OSError:  # also for a file without certificates: SSLError
        raise ConfigError("names no file of certificates (PEM) that can be read") from None
    return path


def is_host(text: str) -> bool:
    """Return whether ``text`` is a host's name or address, without scheme, port or blanks."""
    try:
        ipaddress.ip_address(text)
    except ValueError:  # a name may not look like an IPv4 address
        return bool(re.fullmatch(r"(?![0-9]+(\.[0-9]+)+\Z)[\w.-]+", text))
    return True


def host_name(text: str) -> str:
    """Return a host's name or address, without the brackets of an IPv6 address."""
    name = re.sub(r"^\[(.*)\]$", r"\1", text.strip())
    if is_host(name):
        return name
    raise ConfigError("has to be the name or address of a host, without a scheme or a port")


def sentinel(text: str) -> tuple[str, int]:
    """Return the host and port of ``host``, ``host:port`` or ``[v6]:port``."""
    name, separator, number = text.rpartition(":")
    if not separator or text.endswith("]"):
        name, number = text, "26379"
    return host_name(name), port_number(number)


def url_of_redis(text: str) -> str:
    """Return a URL of Redis. Refuse any part that a client would ignore in silence."""
    quoted, database = r"(?:[^@/?#%\s]|%[0-9a-fA-F]{2})+", r"(?:\?db=[0-9]{1,9})?"
    server = rf"rediss?://(?=.)(({quoted})?@)?[^@/?#%\s]*(/[0-9]{{1,9}}/?|/?{database})"
    if re.fullmatch(rf"{server}|unix://(({quoted})?@)?(/+{quoted})+/*{database}", text):
        url = urlsplit(text)
        if url.port != 0 and is_host(url.hostname or "localhost"):
            return text
    raise ConfigError(
        "has to be redis[s]://[user:password@]host[:port][/database] or unix://[user:password@]/path"
        "[?db=database]; in a password @ / ? # % are %40 %2F %3F %23 %25"
    )


port_number = Number(1, 65_535)
seconds = Number(0.001, 86_400, float)
seconds_or_none = Number(0, 86_400, float)
filled = matching(r"(?s).+", "is empty; leave it unset instead")
identifier = matching(
    r"(?a)[A-Za-z]\w{0,47}", "has to be a letter and then letters, digits and _, at most 48"
)
token = matching(
    r"(?s)\S(.*\S)?", "is empty, or has a blank or line end around it, which no client can send"
)
origin = matching(
    r"\*|(?!http:.*:80\Z|https:.*:443\Z)"
    r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?",
    "has to be origins as browsers send them, like https://site.example: in lower case,"
    " without a path, a default port or a wildcard",
)


def setting(default: Any, parse: Callable[[str], Any], *, secret: bool = False) -> Any:
    """Return a field of Config.

    ``parse`` reads its value from text. The text of a ConfigError that ``parse`` raises goes on a
    sentence that begins with the variable's name.
    """
    return dataclasses.field(default=default, metadata={"parse": parse}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting. The value of a setting that is not in the environment is its default."""

    host: str = setting("127.0.0.1", host_name)
    port: int = setting(1337, Number(0, 65_535))
    workers: int = setting(1, Number(1, 64))
    cassandra_host: tuple[str, ...] = setting((), each(host_name))
    cassandra_port: int = setting(9042, port_number)
    cassandra_dc: str | None = setting(None, filled)
    # in lower case, as CQL makes every name without quotes
    cassandra_keyspace: str = setting("content", lambda text: identifier(text).lower())
    cassandra_replication: int | None = setting(None, Number(1, 9))
    cassandra_username: str | None = setting(None, filled)
    cassandra_password: str | None = setting(None, filled, secret=True)
    cassandra_ca: str | None = setting(None, certificates)
    store_deadline_s: float = setting(1.0, seconds)
    store_reads_max: int = setting(200, Number(1, 10_000))
    redis_host: str | None = setting(None, host_name)
    redis_port: int = setting(6379, port_number)
    redis_url: str | None = setting(None, url_of_redis, secret=True)
    redis_ca: str | None = setting(None, certificates)
    redis_sentinels: tuple[tuple[str, int], ...] = setting((), each(sentinel))
    redis_sentinel_master: str = setting("content", filled)
    redis_sentinel_password: str | None = setting(None, filled, secret=True)
    redis_deadline_s: float = setting(0.02, seconds)
    redis_ttl_s: float = setting(3_600.0, seconds)
    stale_s: float = setting(86_400.0, seconds_or_none)
    near_bytes: int = setting(67_108_864, Number(0, 2**40))
    near_ttl_s: float = setting(5.0, seconds)
    fast_lane: bool = setting(True, switch)
    embedded_path: str = setting("content.sqlite3", filled)
    write_token: str | None = setting(None, token, secret=True)
    max_age_s: int = setting(0, Number(0, 86_400))
    cors_origins: tuple[str, ...] = setting((), each(origin))
    read_deadline_s: float = setting(1.5, seconds)
    write_deadline_s: float = setting(5.0, seconds)
    shedding: bool = setting(True, switch)
    body_max_bytes: int = setting(65_536, Number(1_024, 16_777_216))
    head_max_bytes: int = setting(16_384, Number(1_024, 1_048_576))
    headers_max: int = setting(100, Number(10, 1_000))
    target_max_bytes: int = setting(8_192, Number(256, 65_536))
    arrival_s: float = setting(10.0, seconds)
    connections_max: int = setting(10_000, Number(1, 1_000_000))
    keep_alive_s: int = setting(75, Number(1, 86_400))
    drain_s: float = setting(2.0, seconds_or_none)
    demo: bool = setting(False, switch)
    access_log: bool = setting(False, switch)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read every setting. Raise ConfigError with the variable's name."""
        values = {}
        for field in dataclasses.fields(cls):
            variable = field.name.upper()
            text = lookup(environ, variable)
            if text is None:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:  # an error of the standard library may show the text
                why = error if isinstance(error, ConfigError) else "is malformed"
                raise ConfigError(f"{variable} {why}") from None
        config = cls(**values)
        config._refuse_contradictions()
        return config

    def _refuse_contradictions(self) -> None:
        """Raise ConfigError if two settings contradict each other."""
        url = urlsplit(self.redis_url or "")
        if self.redis_host and (self.redis_sentinels or self.redis_url):
            raise ConfigError("REDIS_HOST is set beside REDIS_URL or REDIS_SENTINELS")
        if self.redis_sentinels and (url.hostname or url.scheme == "unix"):
            raise ConfigError("REDIS_URL has a host, which is for REDIS_SENTINELS to find")
        if self.redis_ca and url.scheme != "rediss":
            raise ConfigError("REDIS_CA is set, but REDIS_URL is none of rediss://")
        if (self.cassandra_username is None) != (self.cassandra_password is None):
            raise ConfigError("CASSANDRA_USERNAME and CASSANDRA_PASSWORD have to be set together")

    @property
    def cache_control(self) -> bytes:
        """Return the ``Cache-Control`` of answers with a validator."""
        return b"max-age=%d" % self.max_age_s if self.max_age_s else b"no-cache"

    @property
    def has_redis(self) -> bool:
        """Return whether a Redis is named, in any of the three ways."""
        return bool(self.redis_host or self.redis_url or self.redis_sentinels)

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
