"""The address of a Redis server with its credentials. redis-py parses it and opens connections."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

from redis.asyncio import connection as redis_py
from redis.exceptions import RedisError

from cache.redis.connection import Connection, Lost

UNBOUNDED = {"socket_timeout": None, "socket_connect_timeout": None, "driver_info": None}
"""Options of redis-py: without time-outs of its own, and without CLIENT SETINFO."""


@cache
def tls_context(ca: str | None) -> ssl.SSLContext:
    """Return a context that trusts the CAs in the file ``ca``, or else those of this machine.

    It is made once, because reading certificates blocks the loop. redis-py would trust both.
    """
    return ssl.create_default_context(cafile=ca)


class TlsConnection(redis_py.SSLConnection):
    """A connection with TLS, whose certificate is verified for ``name`` at any address of it."""

    name = ""

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.name}


@dataclass(frozen=True)
class Address:
    """A Redis server, at the Unix socket ``path`` if that is set, else at ``host`` and ``port``.

    ``ca`` is the path of a PEM file, whose CA certificates replace those of this machine.
    """

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    path: str | None = None
    ca: str | None = None

    @classmethod
    def from_url(cls, url: str, ca: str | None = None) -> Self:
        """Return the address in ``url``, which ``config.url_of_redis`` has accepted."""
        parts: dict[str, Any] = {**redis_py.parse_url(url)}
        tls = parts.pop("connection_class", None) is redis_py.SSLConnection
        return cls(**parts, tls=tls, ca=ca)

    def __str__(self) -> str:
        """Return host and port, or the path of the socket, without credentials."""
        return self.path or f"{self.host}:{self.port}"

    async def find(self) -> Self:
        """Return this address, because without sentinels the master has no other."""
        return self

    async def guard(self, address: "Address") -> None:
        """Return at once, because without sentinels only the connection itself shows a change."""

    async def addresses(self) -> list[list[str]]:
        """Return the addresses of ``host``, a list for each family (IPv4, IPv6).

        The preferred family comes first. Raise OSError.
        """
        found = await asyncio.get_running_loop().getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        )
        families: dict[int, list[str]] = {}
        for family, _, _, _, place in found:
            families.setdefault(family, []).append(str(place[0]))
        return list(families.values())

    async def open(self, protocol: int, address: str | None = None) -> redis_py.AbstractConnection:
        """Return a connection of redis-py, authenticated and in RESP version ``protocol``.

        The peer is ``host``, or ``address``, one of the addresses of ``host``. Raise Lost. The
        deadline is the caller's.
        """
        access = {"db": self.db, "username": self.username, "password": self.password}
        options: dict[str, Any] = {**access, **UNBOUNDED, "protocol": protocol}
        host = address or self.host
        opened: redis_py.AbstractConnection
        if self.path is not None:
            opened = redis_py.UnixDomainSocketConnection(path=self.path, **options)
        elif self.tls:
            opened = TlsConnection(host=host, port=self.port, **options)
            opened.name = self.host
            opened.ssl_context.context = tls_context(self.ca)
        else:
            opened = redis_py.Connection(host=host, port=self.port, **options)
        try:
            await opened.connect()  # type: ignore[no-untyped-call]
        except RedisError as error:
            raise Lost(text_of(error)) from None
        return opened

    async def connect(self, connection: Connection) -> None:
        """Open ``connection``, authenticated and in RESP3. Raise Lost.

        redis-py has no public way to give a socket away, so its writer is taken from it. Nothing is
        unread then, because redis-py has asked for nothing else.
        """
        opened = await self.open(3)
        is_unread, writer = await opened.can_read(), opened._writer
        assert writer is not None
        opened._reader = opened._writer = None  # else redis-py would close the socket
        writer.transport.set_protocol(connection)
        connection.writer = writer
        connection.connection_made(writer.transport)
        if is_unread or writer.is_closing():
            connection.abort("the server closed the connection")


def text_of(error: RedisError) -> str:
    """Return the text of an error, without the arguments of the command and so the password."""
    text = str(error).partition(", with args")[0]
    if "unknown command" in text and "HELLO" in text:
        text += ": Redis 6 or later is needed"
    return " ".join(filter(None, (error.status_code, text))) or type(error).__name__
