"""The service: its routes and layers, and the function that puts all parts together.

Read ``create_app`` first, because it names every part once. Nothing happens at import.
"""

import signal
import sys

if __name__ == "__main__":  # SIGTERM may come during the imports, a third of a second
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

import argparse
import asyncio
import logging
import os
import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from starlette.applications import Starlette
from starlette.routing import Route

import server
from api.guard import Cors
from api.handlers import Content, Probes
from api.home import Home
from api.resource import CONTRACT, Resource, asset, site
from cache.near import Near, near_metrics
from cache.redis.absent import Rows, open_redis
from cache.store import CachedVideoStore
from config import VERSION, Config, ConfigError, settings
from db.cassandra.limit import Limit
from db.store import VideoStore, open_store, store_metrics
from drain import Drain
from metrics import Publisher, build_info, share
from middleware.admission import admission, deadline
from middleware.cache_lookup import cache_lookup, conditional
from middleware.error_handling import error_handling
from middleware.onion import Middleware, Onion, compose
from middleware.timing import RequestMetrics, access_log, timing
from wire.lane import Lane, render_with
from wire.limits import Wire

if TYPE_CHECKING:
    from middleware.tracing import Tracing

logger = logging.getLogger("content")

DESCRIPTION = """\
Serve content metadata as a JSON API over HTTP.

Settings are environment variables. X_FILE names a file that holds the value of X. Items of a list
are separated by commas."""


def layers(
    config: Config,
    registry: CollectorRegistry,
    metrics: RequestMetrics,
    videos: CachedVideoStore,
    limit: Limit,
) -> tuple[Sequence[Middleware], Sequence[Middleware]]:
    """Return two stacks of middleware, outermost first.

    One is for the router, the other for rows that the lane has to load. To take a layer
    away, take its line out.
    """
    shedding = [admission(lambda: limit.is_congested, registry)] if config.shedding else []
    logs = [access_log] if config.access_log else []
    outer = [*logs, timing(metrics), error_handling()]
    inner = [*shedding, deadline(config.read_deadline_s, config.write_deadline_s)]
    lookup = cache_lookup(videos.cached, config.cache_control)
    return [*outer, conditional, lookup, *inner], [*outer, *inner]


def resources(content: Content, probes: Probes, config: Config) -> list[Resource]:
    """Return every path of the API, in the order in which the router tries the paths.

    The paths that are asked for most come first, because each try costs half a microsecond. The
    demo is an ordinary client of the API, and no part of the contract.
    """
    return [
        Resource("/content/{id}", GET=content.by_id, PATCH=content.update, DELETE=content.delete),
        Resource("/home", GET=content.home),
        Resource("/content", GET=content.by_query, POST=content.create),
        Resource("/content/genre/{genre:path}", GET=content.genre),
        Resource("/genres", GET=content.genres),
        Resource("/videos", GET=content.random_id),
        Resource("/uuids", GET=content.ids),
        Resource("/", GET=content.welcome),
        Resource("/healthz", GET=probes.alive),
        Resource("/readyz", GET=probes.ready),
        Resource("/metrics", GET=probes.metrics),
        Resource("/openapi.json", GET=asset(CONTRACT, {b"cache-control": b"no-cache"})),
        *site("swagger", "/docs"),
        *(site("demo", "/demo", config.cors_origins) if config.demo else ()),
    ]


def create_app(config: Config, store: VideoStore | None = None) -> Starlette:
    """Return the ASGI application. Several workers show the metrics of all of them."""
    publisher = Publisher(share() if config.workers > 1 else None)  # before any metric is made
    ProcessCollector(registry=publisher)  # not shared, because a scrape meets any worker
    build_info(VERSION, publisher)
    limit = Limit(config.store_reads_max)
    store = store or open_store(config, limit)
    metrics = RequestMetrics(publisher)
    drain = Drain(config.drain_s)
    render = render_with(config.cache_control)
    near = Near(config.near_limit_bytes, config.near_ttl_s, render=render)
    redis = open_redis(config, store.identity, near, publisher)
    tracing, store, redis = _traced(config, store, redis)
    videos = CachedVideoStore(store, near, redis, config.redis_ttl_s, config.stale_s)
    home = Home(videos)
    publisher.add(metrics.publish)
    near_metrics(near, publisher)
    store_metrics(store, limit, publisher)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            if tracing:
                running.push_async_callback(tracing.close)
            # closed in reverse: writes end while both are up
            for part in (store, redis, videos, publisher):
                await part.open()
                running.push_async_callback(part.close)
            running.enter_context(drain.armed())
            server.calm_gc()
            yield

    probes = Probes(config, store, redis, near, publisher, drain)
    content = Content(config, videos, home)
    paths = resources(content, probes, config)
    app = Starlette(routes=[Route(path.template, path) for path in paths], lifespan=lifespan)
    app.router.redirect_slashes = False  # the redirect would repeat the Host header
    # in place of Starlette's own stack, whose two layers answer errors in plain text
    stack, of_misses = layers(config, publisher, metrics, videos, limit)
    onion = Onion(app.router, [tracing.middleware, *stack] if tracing else stack, drain)
    app.middleware_stack = Cors(onion, config.cors_origins) if config.cors_origins else onion
    app.state.wire = Wire(config, publisher)
    if config.has_lane:
        load, policy = compose(of_misses, content.in_lane), config.cache_control
        lane = partial(Lane, has_cors=bool(config.cors_origins), has_tracing=bool(tracing))
        app.state.lane = lane(near, redis.ask, home.near, load, metrics, policy, drain)
    return app


def create_worker(config: Config) -> Starlette:
    """Return the application of one of several workers, each of them a process of uvicorn."""
    server.set_up_log(config)
    server.end_with_parent()
    try:
        return create_app(config)
    except (ConfigError, OSError) as error:  # new since the parent looked, such as a full disk
        print(f"content: {error}", file=sys.stderr)
        sys.exit(server.NOT_STARTED)  # after any other status uvicorn restarts it for ever


def _traced(
    config: Config, store: VideoStore, redis: Rows
) -> "tuple[Tracing | None, VideoStore, Rows]":
    """Return the tracing, if it is on, and both layers as they have to be called then."""
    if not config.otel_exporter_otlp_endpoint:
        return None, store, redis
    from middleware.tracing import Traced, Tracing  # and so OpenTelemetry

    tracing = Tracing(config.otel_exporter_otlp_endpoint)
    if config.has_redis:
        redis = Traced(redis, "redis", tracing.tracer)  # type: ignore[assignment]
    return tracing, Traced(store, store.name, tracing.tracer), redis


async def _try(store: VideoStore) -> None:
    """Raise ConfigError if the store can never be used."""
    try:
        await store.open()
    finally:
        await store.close()


def _summary(config: Config, port: int) -> str:
    """Return one line for the log: the layers that are on, and the addresses of the pages."""
    nodes = ", ".join(config.cassandra_host)
    store = f"Cassandra at {nodes}" if nodes else f"SQLite in {config.embedded_path}"
    redis, lane = "on" if config.has_redis else "none", "on" if config.has_lane else "off"
    near, host = config.near_limit_bytes, config.host
    root = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pages = f"{root}/docs and {root}/demo" if config.demo else f"{root}/docs"
    layers = f"store: {store}; Redis: {redis}; near cache: {near} bytes; fast lane: {lane}"
    return f"{layers}; workers: {config.workers}; see {pages}"


def parse_arguments(arguments: Sequence[str] | None = None) -> None:
    """Return if there is no argument. Print help or version and exit with status 0.

    Refuse any other argument with status 2.
    """
    parser = argparse.ArgumentParser(
        prog="content",
        description=DESCRIPTION,
        epilog="settings, with default and range:\n"
        + "\n".join(_described(*each) for each in settings()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    parser.parse_args(arguments)


def _described(variable: str, default: str, bounds: str, meaning: str) -> str:
    """Return a setting in the shape of argparse's help of an option."""
    first = f"  {variable:28} {default:16} {bounds}".rstrip()
    return "\n      ".join([first, *textwrap.wrap(meaning, 90)])


def main() -> None:
    """Serve until told to stop. If a setting is wrong, print one line and exit with status 2."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again at its end
    parse_arguments()
    try:
        config = Config.from_env(os.environ)
        if not config.cassandra_host:  # before the log is set up, because this is only a check
            asyncio.run(_try(open_store(config)))  # a wrong path is one line, and no restarts
        server.set_up_log(config)
        config = server.within_files(config)
        if config.write_token is None and not config.is_loopback:
            logger.warning("WRITE_TOKEN is not set: anyone who reaches %s may write", config.host)
        if config.write_token is None and "*" in config.cors_origins:
            logger.warning("WRITE_TOKEN is not set and CORS_ORIGINS is *: any web page may write")
        if config.near_bytes and not config.near_limit_bytes:
            logger.warning("no near cache: %d workers without Redis", config.workers)
        sockets = server.listen(config.host, config.port)
        logger.info(_summary(config, sockets[0].getsockname()[1]))
        create = create_worker if config.workers > 1 else create_app
        server.serve(config, sockets, partial(create, config))
    except ConfigError as error:
        print(f"content: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
