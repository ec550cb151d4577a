"""Error handling: every failure becomes one envelope, in one place.

A ServiceError has its own status and text. Any other exception is a 500, whose text stays in the
log. A 500 is logged once, with a traceback and the request ID of its answer. Late answers come in
numbers, so one 504 a minute and route is logged, in one line. A 503 is not logged: what is away is
logged once by ``db/health.py`` or ``cache/redis/link.py``, and overload is counted. The metrics of
``timing`` count the rest. A cancelled request is answered, too, because its write may hold by then.
"""

import asyncio
import logging
import math
import time

import orjson
from starlette.exceptions import HTTPException

from errors import Late, NotFound, OutcomeUnknown, ServiceError, Unavailable
from middleware.onion import JSON, Context, Middleware, Next

logger = logging.getLogger("content")

LINE = "%(method)s %(route)s answered %(status)d (request %(request_id)s): %(cause)s"
PAUSE_S = 60.0
SaidAt = dict[tuple[type[ServiceError], str], float]
"""When a late answer was logged, by the error's class and the route."""


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
    if error.status >= 500 and not isinstance(error, Unavailable):
        _log(ctx, error, raised, said_at)


def _log(ctx: Context, error: ServiceError, raised: Exception, said_at: SaidAt) -> None:
    """Log an unforeseen error with its traceback, and a late answer in one line.

    The line has the driver's own words. Skip a late answer if one was logged less than PAUSE_S ago
    for this route.
    """
    is_late = isinstance(error, Late)
    if is_late:
        kind, now = (type(error), ctx.route), time.monotonic()
        if now - said_at.get(kind, -math.inf) < PAUSE_S:
            return
        said_at[kind] = now
    fields = {"method": ctx.method, "route": ctx.route, "status": error.status}
    fields |= {"request_id": ctx.identify(), "cause": str(raised.__cause__ or raised)}
    level, traceback = (logging.WARNING, None) if is_late else (logging.ERROR, raised)
    logger.log(level, LINE, fields, exc_info=traceback)


def _respond(ctx: Context, error: ServiceError) -> None:
    ctx.status = error.status
    ctx.headers = {b"content-type": JSON, b"cache-control": b"no-store"}
    for name, value in error.headers.items():
        ctx.headers[name.lower().encode()] = value.encode()
    ctx.body = orjson.dumps({"status": "failed", "message": error.message, **error.details})
