"""Settings: a frozen value, made from the environment once, at the start of the service.

Every setting is a field below, with the variable that sets it, its unit in its name, and the reason
for its default. A test compares the README's table with this list. ``X_FILE`` names a file with the
value of the variable ``X``, without the one line end that editors add.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from settings import (
    ConfigError,
    certificates,
    filled,
    host_name,
    host_names,
    hosts_and_ports,
    identifier,
    lookup,
    origins,
    parsed,
    port_number,
    seconds,
    seconds_or_none,
    setting,
    switch,
    token,
    url_of_redis,
    whole,
)

__all__ = ["Config", "ConfigError"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every setting. The arguments of ``setting`` are its variable, default, parser and reason."""

    host: str = setting("HOST", "127.0.0.1", host_name, "nothing is served to others unasked")
    port: int = setting("PORT", 1337, port_number(0), "the original's port; 0: any free one")
    workers: int = setting(
        "WORKERS",
        1,
        whole(1, 64),
        "processes that share the port; without Redis they have no near cache",
    )
    cassandra_host: tuple[str, ...] = setting(
        "CASSANDRA_HOST", (), host_names, "contact points, comma-separated; unset: embedded store"
    )
    cassandra_port: int = setting("CASSANDRA_PORT", 9042, port_number(), "Cassandra's default")
    cassandra_dc: str | None = setting(
        "CASSANDRA_DC", None, filled, "the local data centre; unset: that of the contact point"
    )
    cassandra_keyspace: str = setting(
        "CASSANDRA_KEYSPACE", "content", identifier, "created when absent"
    )
    cassandra_replication: int | None = setting(
        "CASSANDRA_REPLICATION",
        None,
        whole(1, 9),
        "for a keyspace that is created; unset: 3 when the data centre has as many nodes, else 1",
    )
    cassandra_username: str | None = setting(
        "CASSANDRA_USERNAME", None, filled, "unset: no authentication"
    )
    cassandra_password: str | None = setting(
        "CASSANDRA_PASSWORD", None, filled, "goes with the user name", secret=True
    )
    cassandra_ca: str | None = setting(
        "CASSANDRA_CA",
        None,
        certificates,
        "PEM of the CAs whose word on a node is enough, whatever its name; unset: no TLS",
    )
    store_deadline_s: float = setting(
        "STORE_DEADLINE_S", 1.0, seconds, "a request to Cassandra later than this is a 504"
    )
    store_reads_max: int = setting(
        "STORE_READS_MAX",
        200,
        whole(1, 10_000),
        "most reads of Cassandra at a time in a worker; from 50 on measured latency sets it",
    )
    redis_host: str | None = setting(
        "REDIS_HOST", None, host_name, "unset, and REDIS_URL and REDIS_SENTINELS too: no Redis"
    )
    redis_port: int = setting("REDIS_PORT", 6379, port_number(), "Redis' default")
    redis_url: str | None = setting(
        "REDIS_URL",
        None,
        url_of_redis,
        "instead of host and port, with user, password, database; rediss:// for TLS",
        secret=True,
    )
    redis_ca: str | None = setting(
        "REDIS_CA",
        None,
        certificates,
        "PEM of who signed for Redis, with rediss://; unset: this machine's CAs",
    )
    redis_sentinels: tuple[tuple[str, int], ...] = setting(
        "REDIS_SENTINELS",
        (),
        hosts_and_ports(26_379),
        "each sentinel, in place of REDIS_HOST; a REDIS_URL then has no host: rediss://:password@/0",
    )
    redis_sentinel_master: str = setting(
        "REDIS_SENTINEL_MASTER", "content", filled, "the name that the sentinels know it by"
    )
    redis_sentinel_password: str | None = setting(
        "REDIS_SENTINEL_PASSWORD", None, filled, "of the sentinels themselves", secret=True
    )
    redis_deadline_s: float = setting(
        "REDIS_DEADLINE_S", 0.02, seconds, "a read of Redis later than this is a miss"
    )
    redis_ttl_s: float = setting(
        "REDIS_TTL_S", 3_600.0, seconds, "how long a row stays, less up to 10 % of jitter"
    )
    stale_s: float = setting(
        "STALE_S",
        86_400.0,
        seconds_or_none,
        "how long past its TTL an answer may be served while the store is away; 0: not at all",
    )
    near_bytes: int = setting(
        "NEAR_BYTES",
        67_108_864,
        whole(0, 2**40),
        "of finished answers kept in each worker, some 50,000 rows; 0: none",
    )
    near_ttl_s: float = setting(
        "NEAR_TTL_S", 5.0, seconds, "the bound on staleness if an invalidation is lost"
    )
    fast_lane: bool = setting(
        "FAST_LANE", True, switch, "1: near hits are answered before the app sees them"
    )
    embedded_path: str = setting(
        "EMBEDDED_PATH", "content.sqlite3", filled, "the SQLite file of the embedded store"
    )
    write_token: str | None = setting(
        "WRITE_TOKEN",
        None,
        token,
        "writes need it as a bearer token: none 401, a wrong one 403; unset: anyone may write",
        secret=True,
    )
    max_age_s: int = setting(
        "MAX_AGE_S", 0, whole(0, 86_400), "Cache-Control of rows and lists; 0: no-cache, ask again"
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS",
        (),
        origins,
        "origins that browsers may read from, and without a WRITE_TOKEN write from; *: any;"
        " unset: none",
    )
    read_deadline_s: float = setting(
        "READ_DEADLINE_S", 1.5, seconds, "a GET later than this after its arrival is a 504"
    )
    write_deadline_s: float = setting(
        "WRITE_DEADLINE_S", 5.0, seconds, "the same for writes, whose outcome is then unknown"
    )
    shedding: bool = setting(
        "SHEDDING", True, switch, "1: under overload hovers are answered 503 before clicks"
    )
    body_max_bytes: int = setting(
        "BODY_MAX_BYTES", 65_536, whole(1_024, 16_777_216), "a row is far smaller; above: 413"
    )
    head_max_bytes: int = setting(
        "HEAD_MAX_BYTES", 16_384, whole(1_024, 1_048_576), "of a request's head; above: 431"
    )
    headers_max: int = setting(
        "HEADERS_MAX", 100, whole(10, 1_000), "fields in a request's head; above: 431"
    )
    target_max_bytes: int = setting(
        "TARGET_MAX_BYTES", 8_192, whole(256, 65_536), "of path and query; above: 414"
    )
    arrival_s: float = setting(
        "ARRIVAL_S",
        10.0,
        seconds,
        "for a head or a body to arrive (else 408), and for an answer to be taken (else cut)",
    )
    connections_max: int = setting(
        "CONNECTIONS_MAX", 10_000, whole(1, 1_000_000), "open in each worker; above: 503 and close"
    )
    keep_alive_s: int = setting(
        "KEEP_ALIVE_S", 75, whole(1, 86_400), "of idle connections; above the balancer's own limit"
    )
    drain_s: float = setting(
        "DRAIN_S",
        2.0,
        seconds_or_none,
        "after SIGTERM, answering with Connection: close while balancers notice; 0: none;"
        " a container needs a stop grace of DRAIN_S and 14 s, so above Docker's 10 s",
    )
    demo: bool = setting("DEMO", False, switch, "a page to look at, /demo; make run has it on")
    access_log: bool = setting(
        "ACCESS_LOG", False, switch, "1: a line per request, which costs more than a hit"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read every setting. Raise ConfigError with the variable's name."""
        values = {}
        for field in dataclasses.fields(cls):
            text = lookup(environ, field.metadata["variable"])
            if text is not None:
                values[field.name] = parsed(field.metadata, text)
        config = cls(**values)
        if contradiction := config._contradiction():
            raise ConfigError(contradiction)
        return config

    def _contradiction(self) -> str:
        """Return which two settings contradict each other; empty if none do."""
        parts = urlsplit(self.redis_url or "")
        if self.redis_host and (self.redis_sentinels or self.redis_url):
            return "REDIS_HOST is set beside REDIS_URL or REDIS_SENTINELS"
        if self.redis_sentinels and (parts.hostname or parts.scheme == "unix"):
            return "REDIS_URL has a host, which is for REDIS_SENTINELS to find"
        if self.redis_ca and parts.scheme != "rediss":
            return "REDIS_CA is set, but REDIS_URL is none of rediss://"
        if (self.cassandra_username is None) != (self.cassandra_password is None):
            return "CASSANDRA_USERNAME and CASSANDRA_PASSWORD go together, and one is not set"
        return ""

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
