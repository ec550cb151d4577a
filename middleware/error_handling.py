"""Error handling: every failure becomes one envelope, in one place.

An expected error says its own status and text. Whatever else is raised is a 500 whose text stays
in the log. Each 5xx is logged once, with a traceback and the request id that the answer carries.
"""

from __future__ import annotations

import logging
import secrets

import orjson
from starlette.exceptions import HTTPException

from errors import NotFound, ServiceError
from middleware.onion import JSON, Context, Middleware, Next

logger = logging.getLogger("content")


def error_handling() -> Middleware:
    """Makes the middleware."""

    async def error_handling(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        try:
            await next()
        except Exception as raised:
            error = _known(raised)
            _respond(ctx, error)
            if error.status >= 500:
                request_id = secrets.token_hex(8)
                ctx.headers[b"x-request-id"] = request_id.encode()
                logger.error(
                    "%s %s answered %d (request %s)",
                    ctx.method,
                    ctx.route,
                    error.status,
                    request_id,
                    exc_info=raised,
                )

    return error_handling


def _known(raised: Exception) -> ServiceError:
    if isinstance(raised, ServiceError):
        return raised
    if isinstance(raised, HTTPException) and raised.status_code == 404:
        return NotFound()  # Starlette's router: no route has this path
    return ServiceError()


def _respond(ctx: Context, error: ServiceError) -> None:
    ctx.status = error.status
    ctx.headers = {b"content-type": JSON, b"cache-control": b"no-store"}
    for name, value in error.headers.items():
        ctx.headers[name.lower().encode()] = value.encode()
    envelope = {"status": "failed", "message": error.message, **error.details()}
    ctx.body = orjson.dumps(envelope)
