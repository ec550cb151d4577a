"""Who may write: the holder of the token, or without one anybody but a browser of another site.

A browser sends writes of any page that it shows, to a service on its own machine or network too.
It says so itself: ``Origin`` and ``Sec-Fetch-Site`` are headers that no page can set. Other clients
send neither. A page can also give its own name the address of this machine (DNS rebinding), so a
service on loopback takes writes for loopback's names and for addresses alone.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

from config import Config
from errors import Forbidden, Unauthorized
from middleware.onion import Context

ANOTHER_SITE = (
    "Another site may not write through a browser: set WRITE_TOKEN and send it, "
    "or list the origin in CORS_ORIGINS"
)
ANOTHER_NAME = "Without a WRITE_TOKEN, writes on loopback have to be for localhost or an address"
_PORTS = {"http": ":80", "https": ":443"}


class Guard:
    """Lets writes pass; raises Unauthorized without, Forbidden with wrong credentials or origin."""

    def __init__(self, config: Config) -> None:
        token = config.write_token
        # digests: their comparison takes the same time whatever the length of what was given
        self._known = None if token is None else _digest(token.encode("utf-8", "surrogateescape"))
        self._origins = frozenset(config.cors_origins)
        self._is_loopback = config.is_loopback

    def check(self, ctx: Context) -> None:
        """Raise unless the request may write."""
        if self._known is None:
            self._check_browser(ctx)
            return
        scheme, _, given = (ctx.header(b"authorization") or "").partition(" ")
        given = given.lstrip(" ")
        if scheme.lower() != "bearer" or not given:
            raise Unauthorized()
        if not hmac.compare_digest(_digest(given.encode("latin-1")), self._known):
            raise Forbidden()

    def _check_browser(self, ctx: Context) -> None:
        host = (ctx.header(b"host") or "").lower()
        if self._is_loopback and not _is_local(host):
            raise Forbidden(ANOTHER_NAME)
        origin = ctx.header(b"origin")
        if "*" in self._origins or origin in self._origins:
            return
        site = (ctx.header(b"sec-fetch-site") or "").lower()
        # same-site is another origin's, unless Origin says that it is ours
        is_foreign = site == "cross-site" or (site == "same-site" and origin is None)
        if is_foreign or (origin is not None and not _is_own(origin.lower(), host)):
            raise Forbidden(ANOTHER_SITE)


def _is_own(origin: str, host: str) -> bool:
    """Return whether an origin has this host and port, whatever its scheme: TLS ends before us."""
    scheme, separator, authority = origin.partition("://")
    port = _PORTS.get(scheme, "")
    return bool(separator) and authority.removesuffix(port) == host.removesuffix(port)


def _is_local(host: str) -> bool:
    """Return whether no DNS can have given this host: a name of loopback, or an address."""
    name = host.removeprefix("[").partition("]")[0] if host[:1] == "[" else host.partition(":")[0]
    name = name.removesuffix(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
