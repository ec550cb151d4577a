"""Error handling: every failure becomes one envelope, in one place.

A ServiceError has its own status and text. Any other exception is a 500, whose text stays in the
log. A 500 is logged once, with a traceback and the request ID of its answer. An outage makes the
same 503 or 504 over and over, so one a minute is logged, in one line, and the rest are counted. A
request that is shed under overload is not logged. A cancelled request is answered, too, because its
write may hold by then.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable

import orjson
from starlette.exceptions import HTTPException

from errors import Late, NotFound, OutcomeUnknown, ServiceError, Shed, Unavailable
from middleware.onion import JSON, Context, Middleware, Next

logger = logging.getLogger("content")

PAUSE_S = 60.0


def error_handling(clock: Callable[[], float] = time.monotonic) -> Middleware:
    """Make the middleware. ``clock`` returns seconds, for one line a minute."""
    log = Log(clock)

    async def error_handling(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        try:
            await next()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it becomes an answer
            _answer(ctx, raised, log)
        except asyncio.CancelledError:
            # uvicorn cancels a request that outlasts GRACE_S, and would answer in plain text
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            may_hold = ctx.was_read or ctx.method == "DELETE"
            _respond(ctx, Late(OutcomeUnknown.message) if may_hold else Unavailable())

    return error_handling


def _answer(ctx: Context, raised: Exception, log: Log) -> None:
    """Answer with the error, and log it. This is a function of its own, because a variable for the
    error in the catching frame would make a cycle: frame, error, traceback, frame. The cycle would
    keep the request until the garbage collector runs."""
    error = _known(raised)
    _respond(ctx, error)
    if error.status >= 500:
        log(ctx, error, raised)


class Log:
    """Logs each unforeseen failure with its traceback. Logs an outage at most once a minute and
    route, with the driver's own words and the number of failures left out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._outages: dict[tuple[type[ServiceError], str], tuple[float, int]] = {}

    def __call__(self, ctx: Context, error: ServiceError, raised: Exception) -> None:
        more, outage = 0, isinstance(error, Unavailable | Late)
        if isinstance(error, Shed):
            return
        if outage:
            kind = (type(error), ctx.route)
            said_at, more = self._outages.get(kind, (-math.inf, 0))
            now = self._clock()
            if now - said_at < PAUSE_S:
                self._outages[kind] = said_at, more + 1
                return
            self._outages[kind] = now, 0
        request_id = secrets.token_hex(8)
        ctx.headers[b"x-request-id"] = request_id.encode()
        logger.error(
            "%s %s answered %d (request %s)%s%s",
            ctx.method,
            ctx.route,
            error.status,
            request_id,
            f": {raised.__cause__ or raised}" if outage else "",
            f"; and {more} like it before" if more else "",
            exc_info=None if outage else raised,
        )


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
