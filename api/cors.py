"""CORS, which is Starlette's, with the one envelope for a preflight that is refused."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Priority",
)
RESPONSE_HEADERS = (
    "Accept-Patch",
    "Age",
    "Cache-Status",
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "Server-Timing",
    "X-Request-Id",
)


class Cors(CORSMiddleware):
    """As its parent, with what this API needs."""

    @classmethod
    def around(cls, app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
        """``app`` itself where no origin may call it."""
        if not origins:
            return app
        return cls(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        message = bytes(response.body).decode()
        envelope = {"status": "failed", "message": message}
        kept = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-length", "content-type")
        }
        return JSONResponse(envelope, response.status_code, kept)
