"""CORS: Starlette's middleware, with the service's envelope for a refused preflight."""

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
    """Starlette's middleware with the methods and headers of this API."""

    @classmethod
    def around(cls, app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
        """Return ``app`` with CORS, or ``app`` itself if ``origins`` is empty."""
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
        """Return the parent's answer, with a refusal's text in the envelope."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        envelope = {"status": "failed", "message": bytes(response.body).decode()}
        del response.headers["content-length"], response.headers["content-type"]
        return JSONResponse(envelope, response.status_code, response.headers)
