"""The floor that the service's cost is held against: uvicorn with an app that does nothing.

`python -m bench.peers.empty raw|route PORT`: a raw ASGI app, or one Starlette route, that answers
a constant body of 540 bytes, on the same uvicorn with the same options as the service.
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

BODY = b"x" * 540
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"540")]


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that ASGI allows."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def constant(request: Request) -> Response:
    return Response(BODY, media_type="application/json")


def main(kind: str, port: str) -> None:
    app: ASGIApp = raw if kind == "raw" else Starlette(routes=[Route("/content/{id}", constant)])
    uvicorn.run(
        app,
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
