"""Access log: a layer around ``timing`` logs a line for each request, also as fields for JSON."""

from __future__ import annotations

import logging
import time

from middleware.onion import Context, Next

logger = logging.getLogger("content.access")

LINE = "%(method)s %(path)s %(status)d ms=%(ms)s layer=%(layer)s bytes=%(bytes)d id=%(request_id)s"


async def access_log(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
    """Log the request once it is answered.

    A path has its query, both as the client has encoded them. Bytes are those of the body.
    """
    start = time.perf_counter()
    await next()
    fields = {"method": ctx.method, "status": ctx.status, "layer": ctx.layer}
    fields["ms"] = round((time.perf_counter() - start) * 1000, 3)
    target = b"?".join(filter(None, (ctx.scope["raw_path"], ctx.scope["query_string"])))
    fields["path"] = target.decode("ascii", "backslashreplace")
    fields |= {"bytes": len(ctx.finish()[1]), "request_id": ctx.identify()}
    logger.info(LINE, fields)
