"""Error handling: every failure becomes one envelope, in one place.

A ServiceError has its own status and text. Any other exception is a 500, whose text stays in the
log. A 500 is logged once, with a traceback and the request ID of its answer. An outage makes the
same 503 or 504 over and over, so one a minute and route is logged, in one line. The metrics of
``timing`` count the rest. A request that is shed under overload is not logged. A cancelled request
is answered, too, because its write may hold by then.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time

import orjson
from starlette.exceptions import HTTPException

from errors import Late, NotFound, OutcomeUnknown, ServiceError, Shed, Unavailable
from middleware.onion import JSON, Context, Middleware, Next

logger = logging.getLogger("content")

PAUSE_S = 60.0
SaidAt = dict[tuple[type[ServiceError], str], float]
"""When an outage was logged, by its class and route."""


def error_handling() -> Middleware:
    """Make the middleware."""
    said_at: SaidAt = {}

    async def error_handling(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        try:
            await next()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it becomes an answer
            _answer(ctx, raised, said_at)
        except asyncio.CancelledError:
            # uvicorn cancels a request that outlasts GRACE_S, and would answer in plain text
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            may_hold = ctx.was_read or ctx.method == "DELETE"
            _respond(ctx, Late(OutcomeUnknown.message) if may_hold else Unavailable())

    return error_handling


def _answer(ctx: Context, raised: Exception, said_at: SaidAt) -> None:
    """Answer with the error, and log it.

    This is a function of its own, because a variable for the error in the catching frame would make
    a cycle: frame, error, traceback, frame. The cycle would keep the request until the garbage
    collector runs.
    """
    error = raised if isinstance(raised, ServiceError) else ServiceError()
    if isinstance(raised, HTTPException) and raised.status_code == 404:
        error = NotFound()  # Starlette's router: no route has this path
    _respond(ctx, error)
    if error.status >= 500:
        _log(ctx, error, raised, said_at)


def _log(ctx: Context, error: ServiceError, raised: Exception, said_at: SaidAt) -> None:
    """Log an unforeseen error with its traceback, and an outage in one line.

    The line of an outage has the driver's own words. Skip an outage that was logged less than
    PAUSE_S ago for this route.
    """
    is_outage = isinstance(error, Unavailable | Late)
    if is_outage:
        kind, now = (type(error), ctx.route), time.monotonic()
        if isinstance(error, Shed) or now - said_at.get(kind, -math.inf) < PAUSE_S:
            return
        said_at[kind] = now
    request_id = secrets.token_hex(8)
    ctx.headers[b"x-request-id"] = request_id.encode()
    logger.error(
        "%s %s answered %d (request %s)%s",
        ctx.method,
        ctx.route,
        error.status,
        request_id,
        f": {raised.__cause__ or raised}" if is_outage else "",
        exc_info=None if is_outage else raised,
    )


def _respond(ctx: Context, error: ServiceError) -> None:
    ctx.status = error.status
    ctx.headers = {b"content-type": JSON, b"cache-control": b"no-store"}
    for name, value in error.headers.items():
        ctx.headers[name.lower().encode()] = value.encode()
    ctx.body = orjson.dumps({"status": "failed", "message": error.message, **error.details})
