"""Settings: a frozen value, made from the environment once, at the start of the service.

Every setting is a field below, with its default, its parser, its unit in its name, and its row of
the README's table. The variable that sets it is its name in capitals. ``X_FILE`` names a file with
the value of the variable ``X``, without the one line end that editors add.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from settings import (
    ConfigError,
    Number,
    Port,
    certificates,
    each,
    filled,
    host_name,
    identifier,
    lookup,
    origin,
    parsed,
    seconds,
    seconds_or_none,
    sentinel,
    setting,
    switch,
    token,
    url_of_redis,
)

__all__ = ["Config", "ConfigError"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting. Below each field stands its meaning, as in the README."""

    host: str = setting("127.0.0.1", host_name)
    """Nothing is served to others unasked."""
    port: int = setting(1337, Port(0))
    """The original's port; 0: any free one."""
    workers: int = setting(1, Number(1, 64))
    """Processes that share the port; without Redis they have no near cache, and their metrics by
    files under TMPDIR."""
    cassandra_host: tuple[str, ...] = setting((), each(host_name))
    """Contact points, comma-separated; unset: embedded store."""
    cassandra_port: int = setting(9042, Port())
    """Cassandra's default."""
    cassandra_dc: str | None = setting(None, filled)
    """The local data centre; unset: that of the contact point."""
    cassandra_keyspace: str = setting("content", identifier)
    """Created when absent."""
    cassandra_replication: int | None = setting(None, Number(1, 9))
    """For a keyspace that is created; unset: 3 when the data centre has as many nodes, else 1."""
    cassandra_username: str | None = setting(None, filled)
    """Unset: no authentication."""
    cassandra_password: str | None = setting(None, filled, secret=True)
    """Goes with the user name."""
    cassandra_ca: str | None = setting(None, certificates)
    """CA certificates (PEM) to verify Cassandra nodes with; host names are not checked. Unset: no
    TLS."""
    store_deadline_s: float = setting(1.0, seconds)
    """A request to Cassandra later than this is a 504."""
    store_reads_max: int = setting(200, Number(1, 10_000))
    """Most reads of Cassandra at a time in a worker; from 50 on measured latency sets it."""
    redis_host: str | None = setting(None, host_name)
    """Unset, and REDIS_URL and REDIS_SENTINELS too: no Redis."""
    redis_port: int = setting(6379, Port())
    """Redis' default."""
    redis_url: str | None = setting(None, url_of_redis, secret=True)
    """Instead of host and port, with user, password, database; rediss:// for TLS."""
    redis_ca: str | None = setting(None, certificates)
    """CA certificates (PEM) to verify Redis with, if REDIS_URL is rediss://; unset: this machine's
    CAs."""
    redis_sentinels: tuple[tuple[str, int], ...] = setting((), each(sentinel))
    """Each sentinel as host:26379 (a name with several addresses is several), in place of
    REDIS_HOST; a REDIS_URL then has no host: rediss://:password@/0."""
    redis_sentinel_master: str = setting("content", filled)
    """The name of the master at the sentinels."""
    redis_sentinel_password: str | None = setting(None, filled, secret=True)
    """The password of the sentinels themselves."""
    redis_deadline_s: float = setting(0.02, seconds)
    """A read of Redis later than this is a miss."""
    redis_ttl_s: float = setting(3_600.0, seconds)
    """How long a row stays, less up to 10 % of jitter."""
    stale_s: float = setting(86_400.0, seconds_or_none)
    """How long past its TTL an answer may be served while the store is away; 0: not at all."""
    near_bytes: int = setting(67_108_864, Number(0, 2**40))
    """Of finished answers kept in each worker, some 50,000 rows; 0: none."""
    near_ttl_s: float = setting(5.0, seconds)
    """The bound on staleness if an invalidation is lost."""
    fast_lane: bool = setting(True, switch)
    """1: plain reads of home pages and rows are answered by the protocol, without ASGI."""
    embedded_path: str = setting("content.sqlite3", filled)
    """The SQLite file of the embedded store."""
    write_token: str | None = setting(None, token, secret=True)
    """Writes need it as a bearer token: none 401, a wrong one 403; unset: anyone may write, but not
    a browser for another site."""
    max_age_s: int = setting(0, Number(0, 86_400))
    """Cache-Control of rows and lists; 0: no-cache, ask again."""
    cors_origins: tuple[str, ...] = setting((), each(origin))
    """Origins that browsers may read from, and without a WRITE_TOKEN write from; *: any; unset:
    none."""
    read_deadline_s: float = setting(1.5, seconds)
    """A GET later than this after its arrival is a 504."""
    write_deadline_s: float = setting(5.0, seconds)
    """The same for writes, whose outcome is then unknown."""
    shedding: bool = setting(True, switch)
    """1: under overload hovers are answered 503 before clicks."""
    body_max_bytes: int = setting(65_536, Number(1_024, 16_777_216))
    """A row is far smaller; above: 413."""
    head_max_bytes: int = setting(16_384, Number(1_024, 1_048_576))
    """Of a request's head; above: 431."""
    headers_max: int = setting(100, Number(10, 1_000))
    """Fields in a request's head; above: 431."""
    target_max_bytes: int = setting(8_192, Number(256, 65_536))
    """Of path and query; above: 414."""
    arrival_s: float = setting(10.0, seconds)
    """For a head or a body to arrive (else 408), and for an answer to be taken (else cut)."""
    connections_max: int = setting(10_000, Number(1, 1_000_000))
    """Open in each worker; above: 503 and close. Together they hold 64 MiB of unanswered requests,
    and 4 KiB each; above: 503."""
    keep_alive_s: int = setting(75, Number(1, 86_400))
    """Of idle connections; above the balancer's own limit."""
    drain_s: float = setting(2.0, seconds_or_none)
    """After SIGTERM, answering with Connection: close while balancers notice; 0: none; a container
    needs a stop grace of DRAIN_S and 14 s, so above Docker's 10 s."""
    demo: bool = setting(False, switch)
    """1: the page /demo; make run and make stack have it on."""
    access_log: bool = setting(False, switch)
    """1: a line per request, which costs more than a hit."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read every setting. Raise ConfigError with the variable's name."""
        values = {}
        for field in dataclasses.fields(cls):
            variable = field.name.upper()
            text = lookup(environ, variable)
            if text is not None:
                values[field.name] = parsed(variable, field.metadata["parse"], text)
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
            raise ConfigError(
                "CASSANDRA_USERNAME and CASSANDRA_PASSWORD go together, and one is not set"
            )

    @property
    def cache_control(self) -> bytes:
        """Return the ``Cache-Control`` of answers with a validator."""
        return b"max-age=%d" % self.max_age_s if self.max_age_s else b"no-cache"

    @property
    def redis(self) -> str | None:
        """Return the URL of Redis, without a host if sentinels find it; None without Redis."""
        if self.redis_sentinels and not self.redis_url:
            return "redis://"
        if self.redis_url or not self.redis_host:
            return self.redis_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}"

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
