"""The floors of the service's cost: uvicorn with an app that does next to nothing.

``raw`` is a raw ASGI app that answers a constant body, ``route`` one Starlette route that does, and
``driver`` one route that asks the driver: no cache, no lease, no metrics, and the row as it is.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import acsylla
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from config import Config
from db.cassandra.statements import CQL

BODY = b"x" * 540
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"540")]
PATH = "/content/{id}"


class State(TypedDict):
    """What a request of ``driver`` needs."""

    session: acsylla.Session
    read: acsylla.PreparedStatement


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the least that ASGI allows."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def constant(request: Request) -> Response:
    """Return the constant body through Starlette."""
    return Response(BODY, media_type="application/json")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Open a session for ``driver``."""
    config = Config.from_env(os.environ)
    cluster = acsylla.create_cluster(
        list(config.cassandra_host),
        port=config.cassandra_port,
        load_balance_dc_aware="datacenter1",
        consistency=acsylla.Consistency.LOCAL_QUORUM,
        core_connections_per_host=2,
    )
    session = await cluster.create_session(config.cassandra_keyspace)
    yield {"session": session, "read": await session.create_prepared(CQL["read_row"])}
    await session.close()


async def row(request: Request[State]) -> Response:
    """Return the row as the driver has it."""
    statement = request.state["read"].bind()
    statement.bind(0, request.path_params["id"])
    result = await request.state["session"].execute(statement)
    found = result.first()
    return Response(found.column_value_by_index(0), media_type="application/json")


def main(kind: str, port: str) -> None:
    """Serve one of the floors on the loopback."""
    apps: dict[str, ASGIApp] = {
        "raw": raw,
        "route": Starlette(routes=[Route(PATH, constant)]),
        "driver": Starlette(routes=[Route(PATH, row)], lifespan=lifespan),
    }
    uvicorn.run(
        apps[kind],
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on" if kind == "driver" else "off",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
