"""Settings: a frozen value, made from the environment once, at the start of the service.

Every setting is a field of ``Config``, with its default, its parser and its unit in its name. The
variable that sets it is its name in capitals. ``X_FILE`` names a file with the value of the
variable ``X``. ``content --help`` and docs/configuration.md have the meaning of each, which is in
the docstring of ``Config``.
"""

import dataclasses
import inspect
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import parsers
from parsers import ConfigError, Number

__all__ = ["VERSION", "Config", "ConfigError", "lookup", "settings"]

VERSION = "1.0.0"
"""The version of the service and of its API."""


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


def setting(default: Any, parse: Callable[[str], Any], *, secret: bool = False) -> Any:
    """Return a field of Config.

    ``parse`` reads its value from text. The text of a ConfigError that ``parse`` raises goes on a
    sentence that begins with the variable's name.
    """
    return dataclasses.field(default=default, metadata={"parse": parse}, repr=not secret)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting. The value of a setting that is not in the environment is its default.

    Attributes:
        host: The address to listen on. By default only this machine can reach the service.
        port: The port to listen on. 0: any free port.
        workers: Processes that share the port. Several workers without Redis have no near cache.
            Their metrics are files under TMPDIR.
        cassandra_host: Cassandra's contact points. Unset: the embedded store.
        cassandra_port: Cassandra's port.
        cassandra_dc: The local data centre. Unset: that of the contact point.
        cassandra_keyspace: The keyspace, which is created if it does not exist. It is in lower
            case, and no reserved word of CQL.
        cassandra_replication: The replication factor of a keyspace that is created. Unset: 3 if
            the data centre has three nodes or more, else 1.
        cassandra_username: The user of Cassandra. Unset: no authentication.
        cassandra_password: The password of CASSANDRA_USERNAME.
        cassandra_ca: CA certificates (PEM) to verify Cassandra nodes with; host names are not
            checked. Unset: no TLS.
        store_deadline_s: The longest time of a request to Cassandra. A later answer is a 504.
        store_reads_max: The most concurrent reads of Cassandra in a worker. From 50 on, measured
            latency sets the limit.
        redis_host: Redis' host. With REDIS_URL and REDIS_SENTINELS unset, too: no Redis.
        redis_port: Redis' port.
        redis_url: Redis' URL, with user, password and database, in place of REDIS_HOST and
            REDIS_PORT. rediss:// is TLS.
        redis_ca: CA certificates (PEM) to verify Redis with, if REDIS_URL is rediss://. Unset:
            the CAs of this machine.
        redis_sentinels: The sentinels, each as host:26379, in place of REDIS_HOST. A name with
            several addresses is several sentinels. REDIS_URL then has no host:
            rediss://:password@/0
        redis_sentinel_master: The master's name at the sentinels.
        redis_sentinel_password: The password of the sentinels themselves.
        redis_deadline_s: The longest time of a read of Redis. A later reply is a miss.
        redis_ttl_s: How long Redis keeps a row, less up to 10 % of jitter.
        stale_s: How long after its TTL an answer may be served while the store is away. 0: not at
            all.
        near_bytes: The size of the near cache of each worker; 64 MiB are some 50,000 rows. 0: no
            near cache.
        near_ttl_s: How long the near cache keeps an entry. This bounds the age of an answer if an
            invalidation is lost.
        fast_lane: 1: the protocol answers plain reads of home pages and rows without ASGI.
        embedded_path: The SQLite file of the embedded store.
        write_token: The bearer token that writes need: without a token 401, with a wrong one 403.
            Unset: anyone may write, but not a browser for another site.
        max_age_s: The max-age in Cache-Control of rows and lists. 0: no-cache, so caches ask again.
        cors_origins: The origins that browsers may read from, and without WRITE_TOKEN write from.
            *: any origin. Unset: none.
        read_deadline_s: The longest time of a GET, from its arrival. A later answer is a 504.
        write_deadline_s: The same for a write. The outcome of a late write is not known.
        shedding: 1: under overload refuse hovers (503) before clicks.
        body_max_bytes: The longest body of a request; above it 413.
        head_max_bytes: The longest head of a request; above it 431. The framing of a chunked body
            may take a 64th of the body more.
        headers_max: The most fields in the head of a request; above it 431.
        target_max_bytes: The longest target of a request, path and query; above it 414.
        arrival_s: How long a head or a body may take to arrive (else 408), and an answer to be
            taken (else the connection is cut).
        connections_max: The most open connections of a worker; above it 503 and close. Together
            they hold 64 MiB of unanswered requests, and 4 KiB each; above that 503.
        keep_alive_s: How long an idle connection stays open. Choose more than the balancer's limit.
        drain_s: How long after SIGTERM the service still answers, with Connection: close, while
            balancers take notice. 0: no drain. A container needs a stop grace of DRAIN_S and 14 s.
        demo: 1: serve the page /demo, which make run and make stack do.
        access_log: 1: log a line per request, which turns the fast lane off.
        log_format: The format of the log's lines: text or json.
        otel_exporter_otlp_endpoint: The OTLP collector to send traces to, like
            http://collector:4318. It takes the extra otel. Unset: no traces.
    """

    host: str = setting("127.0.0.1", parsers.host_name)
    port: int = setting(1337, Number(0, 65_535))
    workers: int = setting(1, Number(1, 64))
    cassandra_host: tuple[str, ...] = setting((), parsers.each(parsers.host_name))
    cassandra_port: int = setting(9042, parsers.port_number)
    cassandra_dc: str | None = setting(None, parsers.filled)
    # in lower case, as CQL makes every name without quotes
    cassandra_keyspace: str = setting("content", lambda text: parsers.identifier(text).lower())
    cassandra_replication: int | None = setting(None, Number(1, 9))
    cassandra_username: str | None = setting(None, parsers.filled)
    cassandra_password: str | None = setting(None, parsers.filled, secret=True)
    cassandra_ca: str | None = setting(None, parsers.certificates)
    store_deadline_s: float = setting(1.0, parsers.deadline)
    store_reads_max: int = setting(200, Number(1, 10_000))
    redis_host: str | None = setting(None, parsers.host_name)
    redis_port: int = setting(6379, parsers.port_number)
    redis_url: str | None = setting(None, parsers.url_of_redis, secret=True)
    redis_ca: str | None = setting(None, parsers.certificates)
    redis_sentinels: tuple[tuple[str, int], ...] = setting((), parsers.each(parsers.sentinel))
    redis_sentinel_master: str = setting("content", parsers.filled)
    redis_sentinel_password: str | None = setting(None, parsers.filled, secret=True)
    redis_deadline_s: float = setting(0.02, parsers.seconds)
    redis_ttl_s: float = setting(3_600.0, parsers.seconds)
    stale_s: float = setting(86_400.0, parsers.seconds_or_none)
    near_bytes: int = setting(67_108_864, Number(0, 2**40))
    near_ttl_s: float = setting(5.0, parsers.seconds)
    fast_lane: bool = setting(True, parsers.switch)
    embedded_path: str = setting("content.sqlite3", parsers.filled)
    write_token: str | None = setting(None, parsers.token, secret=True)
    max_age_s: int = setting(0, Number(0, 86_400))
    cors_origins: tuple[str, ...] = setting((), parsers.each(parsers.origin))
    read_deadline_s: float = setting(1.5, parsers.deadline)
    write_deadline_s: float = setting(5.0, parsers.deadline)
    shedding: bool = setting(True, parsers.switch)
    body_max_bytes: int = setting(65_536, Number(1_024, 16_777_216))
    head_max_bytes: int = setting(16_384, Number(1_024, 1_048_576))
    headers_max: int = setting(100, Number(10, 1_000))
    target_max_bytes: int = setting(8_192, Number(256, 65_536))
    arrival_s: float = setting(10.0, parsers.seconds)
    connections_max: int = setting(10_000, Number(1, 1_000_000))
    keep_alive_s: int = setting(75, Number(1, 86_400))
    drain_s: float = setting(2.0, parsers.seconds_or_none)
    demo: bool = setting(False, parsers.switch)
    access_log: bool = setting(False, parsers.switch)
    log_format: str = setting("text", parsers.matching("text|json", "has to be text or json"))
    otel_exporter_otlp_endpoint: str | None = setting(None, parsers.collector)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read every setting. Raise ConfigError with the variable's name."""
        values = {}
        for field in dataclasses.fields(cls):
            variable = field.name.upper()
            if (text := lookup(environ, variable)) is None:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ConfigError as error:
                raise ConfigError(f"{variable} {error}") from None
        return cls(**values)

    def __post_init__(self) -> None:
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
    def near_limit_bytes(self) -> int:
        """Return NEAR_BYTES, or 0 for several workers without Redis.

        Such workers cannot report their writes to each other.
        """
        return self.near_bytes if self.workers == 1 or self.has_redis else 0

    @property
    def has_lane(self) -> bool:
        """Return whether the fast lane is on. It is off while there is an access log."""
        return self.fast_lane and not self.access_log

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def settings() -> Iterator[tuple[str, str, str, str]]:
    """Yield the variable, the default, the range and the meaning of each setting."""
    text = inspect.cleandoc(Config.__doc__ or "")  # there is none under python -OO
    meanings = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE))
    for field in dataclasses.fields(Config):
        default = int(field.default) if isinstance(field.default, bool) else field.default
        shown = "unset" if default in (None, ()) else str(default).removesuffix(".0")
        bounds = getattr(field.metadata["parse"], "bounds", "")
        meaning = " ".join(meanings.get(field.name, "").split())
        yield field.name.upper(), shown, bounds, meaning
