"""Where Redis is and how to get in: the parsed ``REDIS_URL``."""

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
    """``path`` is that of a Unix socket, and then ``host`` means nothing. ``ca``: the path of a PEM
    file with whom to believe in place of this machine's CAs."""

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
        """Take apart a URL that ``settings.url_of_redis`` let pass."""
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
        """Where it is, without the credentials."""
        return self.path or f"{self.host}:{self.port}"

    async def find(self) -> Address:
        """The master is here, or nowhere."""
        return self

    async def guard(self, address: Address, drop: Callable[[str], None]) -> None:
        """What the connection itself says is all there is to know."""

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        """Made once: reading the machine's certificates takes the loop's time."""
        return ssl.create_default_context(cafile=self.ca) if self.tls else None

    async def addresses(self) -> list[list[str]]:
        """Return the addresses of ``host``, by family (IPv4, IPv6), the preferred one first. Raises
        OSError."""
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
        """Connect to ``host``, or to one ``address`` of it. Raises OSError, which TLS errors are
        too."""
        loop = asyncio.get_running_loop()
        if self.path is not None:
            return (await loop.create_unix_connection(factory, self.path))[1]
        name = self.host if self.tls else None
        made = await loop.create_connection(
            factory, address or self.host, self.port, ssl=self._context, server_hostname=name
        )
        return made[1]

    def credentials(self) -> tuple[str, ...]:
        """What HELLO says about who we are."""
        if self.password is None:
            return ()
        return ("AUTH", self.username or "default", self.password)
