"""The service: its routes, its layers, and how they are put together.

Read ``create_app`` first: it names every part once. Nothing happens at import.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware as Asgi
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

import server
from api.docs import Docs
from api.handlers import Content
from api.probes import Probes
from api.resource import Resource, routes
from config import Config, ConfigError
from db.open import open_store
from db.store import VideoStore
from middleware.conditional import conditional
from middleware.error_handling import error_handling
from middleware.onion import Middleware, Onion
from middleware.timing import RequestMetrics, timing

logger = logging.getLogger("content")


def layers(metrics: RequestMetrics) -> Sequence[Middleware]:
    """The onion, outside in. Taking a layer away is taking its line out."""
    return [
        timing(metrics),
        error_handling(),
        conditional(),
    ]


def resources(content: Content, probes: Probes) -> list[Resource]:
    """Every path of the API, in the order in which they are matched."""
    api = [
        Resource("/content/genre/{genre:path}", GET=content.genre),
        Resource("/content/{id}", GET=content.by_id, PATCH=content.update, DELETE=content.delete),
        Resource("/content", GET=content.by_query, POST=content.create),
        Resource("/home", GET=content.home),
        Resource("/videos", GET=content.random_id),
        Resource("/uuids", GET=content.ids),
        Resource("/", GET=content.welcome),
        Resource("/healthz", GET=probes.alive),
        Resource("/readyz", GET=probes.ready),
        Resource("/metrics", GET=probes.metrics),
    ]
    docs = Docs(api)
    return [
        *api,
        Resource("/openapi.json", GET=docs.contract),
        Resource("/docs", GET=docs.page),
        Resource("/docs/{asset}", GET=docs.asset),
    ]


def create_app(config: Config | None = None, store: VideoStore | None = None) -> Starlette:
    """The ASGI application; configured by the environment unless ``config`` says otherwise."""
    config = config or Config.from_env(os.environ)
    store = store or open_store(config)
    registry = CollectorRegistry()
    stack = layers(RequestMetrics(registry))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await store.open()
        try:
            yield
        finally:
            await store.close()

    app = Starlette(
        routes=routes(resources(Content(config, store), Probes(store, registry))),
        middleware=[*_cors(config), Asgi(Onion, stack)],
        exception_handlers={HTTPException: _reraise},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # its Location would be made of the Host header
    return app


def _cors(config: Config) -> list[Asgi]:
    if not config.cors_origins:
        return []
    return [
        Asgi(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match"],
            expose_headers=["Cache-Status", "ETag", "Link", "Location", "Server-Timing"],
        )
    ]


async def _reraise(request: Request, error: Exception) -> Response:
    """Starlette would answer its own 404 in plain text; the onion has the one envelope."""
    raise error


def main() -> None:
    """Serves until told to stop; ends with status 2 and one line when a setting is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config = Config.from_env(os.environ)
        if config.write_token is None and not config.is_loopback:
            logger.warning("WRITE_TOKEN is not set: anyone who reaches %s may write", config.host)
        server.serve(config, create_app)
    except ConfigError as error:
        sys.exit(f"content: {error}")


if __name__ == "__main__":
    main()
