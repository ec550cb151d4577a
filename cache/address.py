"""The address of a Redis server with its credentials, parsed from ``REDIS_URL``."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self
from urllib.parse import unquote, urlsplit

from cache.connection import Connection

PORT = 6379


@dataclass(frozen=True)
class Address:
    """A Redis server, at the Unix socket ``path`` if that is set, else at ``host`` and ``port``.
    ``ca`` is the path of a PEM file, whose CA certificates replace those of this machine."""

    host: str = "localhost"
    port: int = PORT
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    path: str | None = None
    ca: str | None = None

    @classmethod
    def from_url(cls, url: str, ca: str | None = None) -> Self:
        """Return the address in ``url``, which ``config.url_of_redis`` has accepted."""
        parts = urlsplit(url)
        is_unix = parts.scheme == "unix"
        db = parts.query.removeprefix("db=") or ("" if is_unix else parts.path.strip("/"))
        return cls(
            parts.hostname or "localhost",
            parts.port or PORT,
            int(db or 0),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            parts.scheme == "rediss",
            unquote(parts.path) if is_unix else None,
            ca,
        )

    def __str__(self) -> str:
        """Return host and port, or the path of the socket, without credentials."""
        return self.path or f"{self.host}:{self.port}"

    async def find(self) -> Address:
        """Return this address, because without sentinels the master has no other."""
        return self

    async def guard(self, address: Address, drop: Callable[[str], None]) -> None:
        """Return at once, because without sentinels only the connection itself shows a change."""

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        """Return the TLS context. It is made once, because reading certificates blocks the loop."""
        return ssl.create_default_context(cafile=self.ca) if self.tls else None

    async def addresses(self) -> list[list[str]]:
        """Return the addresses of ``host``: a list for each family (IPv4, IPv6), the preferred
        family first. Raise OSError."""
        found = await asyncio.get_running_loop().getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        )
        families: dict[int, list[str]] = {}
        for family, _, _, _, place in found:
            families.setdefault(family, []).append(str(place[0]))
        return list(families.values())

    async def connect(
        self, factory: Callable[[], Connection], address: str | None = None
    ) -> Connection:
        """Connect to ``host``, or to ``address``, which is one of the addresses of ``host``. Raise
        OSError, also for an error of TLS."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            return (await loop.create_unix_connection(factory, self.path))[1]
        name = self.host if self.tls else None
        made = await loop.create_connection(
            factory, address or self.host, self.port, ssl=self._context, server_hostname=name
        )
        return made[1]

    def credentials(self) -> tuple[str, ...]:
        """Return the arguments that authenticate this client in HELLO."""
        if self.password is None:
            return ()
        return ("AUTH", self.username or "default", self.password)
