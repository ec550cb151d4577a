"""Which clients may write, and which sites may read through a browser (CORS).

A write needs the token, if the service has one. Without a token every client may write, except a
browser that shows a page of another site.

1. A page of any site can make the browser send a write, also to a service on the browser's own
   machine or network. The browser then sends ``Origin`` and ``Sec-Fetch-Site``, which no page can
   set. Other clients send neither header.
2. A page can point its own host name at this machine (DNS rebinding). So a service on loopback
   accepts writes only if ``Host`` is a name of loopback or an address.
"""

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from config import Config
from errors import Forbidden, Unauthorized
from middleware.onion import Context

ANOTHER_SITE = (
    "Another site may not write through a browser: set WRITE_TOKEN and send it, "
    "or list the origin in CORS_ORIGINS"
)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
ANOTHER_NAME = "Without a WRITE_TOKEN, writes on loopback have to be for localhost or an address"

REQUEST_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("Priority", "X-Request-Id", "traceparent"),
)
RESPONSE_HEADERS = (
    "Accept-Patch, Age, Cache-Status, ETag, Link, Location",
    "Retry-After, Server-Timing, X-Request-Id",
)


def check_right(ctx: Context, config: Config) -> None:
    """Raise Unauthorized without a token, Forbidden if the token or the origin is wrong."""
    if config.write_token is None:
        _check_browser(ctx, config)
        return
    scheme, _, given = (ctx.header(b"authorization") or "").partition(" ")
    given = given.lstrip(" ")
    if scheme.lower() != "bearer" or not given:
        raise Unauthorized()
    token = config.write_token.encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given.encode("latin-1"), token):
        raise Forbidden()


def _check_browser(ctx: Context, config: Config) -> None:
    host = (ctx.header(b"host") or "").lower()
    if config.is_loopback and not _is_local(host):
        raise Forbidden(ANOTHER_NAME)
    origin = ctx.header(b"origin")
    if "*" in config.cors_origins or origin in config.cors_origins:
        return
    site = (ctx.header(b"sec-fetch-site") or "").lower()
    # same-site without Origin: a page of another origin of this site
    is_foreign = site == "cross-site" or (site == "same-site" and origin is None)
    if is_foreign or (origin is not None and not _is_own(origin.lower(), host)):
        raise Forbidden(ANOTHER_SITE)


def _is_own(origin: str, host: str) -> bool:
    """Return whether ``origin`` has this host and port.

    Its scheme may differ, because a proxy may terminate TLS.
    """
    scheme, separator, authority = origin.partition("://")
    port = DEFAULT_PORTS.get(scheme, "")
    return bool(separator) and authority.removesuffix(port) == host.removesuffix(port)


def _is_local(host: str) -> bool:
    """Return whether ``host`` needs no DNS: it is a name of loopback, or an address."""
    name = host.removeprefix("[").partition("]")[0] if host[:1] == "[" else host.partition(":")[0]
    name = name.removesuffix(".")
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Cors(CORSMiddleware):
    """Starlette's middleware with the methods and headers of this API, for ``origins``."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )
        # how long a request took, which a browser else hides from another site's page
        self.simple_headers["Timing-Allow-Origin"] = ", ".join(origins)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the parent's answer, with a refusal's text in the envelope."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        envelope = {"status": "failed", "message": bytes(response.body).decode()}
        del response.headers["content-length"], response.headers["content-type"]
        return JSONResponse(envelope, response.status_code, response.headers)
