"""The floor of an uncached read: one Starlette route that asks the driver, and does nothing else.

`python -m bench.peers.floor PORT`, with the service's own settings. No cache, no lease, no metrics,
and the row as Cassandra rendered it: what the service costs above this is its own.
"""

from __future__ import annotations

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

from config import Config
from db.cassandra.store import READ


class State(TypedDict):
    """What a request needs."""

    session: acsylla.Session
    read: acsylla.PreparedStatement


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    config = Config.from_env(os.environ)
    cluster = acsylla.create_cluster(
        list(config.cassandra_host),
        port=config.cassandra_port,
        load_balance_dc_aware="datacenter1",
        consistency=acsylla.Consistency.LOCAL_QUORUM,
        core_connections_per_host=2,
    )
    session = await cluster.create_session(config.cassandra_keyspace)
    yield {"session": session, "read": await session.create_prepared(READ)}
    await session.close()


async def row(request: Request[State]) -> Response:
    statement = request.state["read"].bind()
    statement.bind(0, request.path_params["id"])
    result = await request.state["session"].execute(statement)
    found = result.first()
    return Response(found.column_value_by_index(0), media_type="application/json")


def main(port: str) -> None:
    uvicorn.run(
        Starlette(routes=[Route("/content/{id}", row)], lifespan=lifespan),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
    )


if __name__ == "__main__":
    main(sys.argv[1])
