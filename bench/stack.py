"""`make stack`: a real Cassandra, a real Redis and the service on this machine, until Ctrl-C.

Servers that the environment names are used as they are; the others are started here, and stopped
after the service, which needs them to finish the requests it has. What the servers wrote is
gone at the end.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bench.lab.processes import interruptible, is_free
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import Service, load_catalogue
from config import Config, ConfigError

log = logging.getLogger("bench")


def with_servers(environ: Mapping[str, str], running: ExitStack) -> dict[str, str]:
    """Return `environ` with the Cassandra and the Redis that it lacks, started in `running`."""
    redis = cassandra = None
    if not _names_any(environ, "REDIS_HOST", "REDIS_URL", "REDIS_SENTINELS"):
        redis = running.enter_context(RedisServer())
    if not _names_any(environ, "CASSANDRA_HOST"):
        log.info("cassandra is starting, which takes 5 to 60 seconds ...")
        node = CassandraNode(datacenter=environ.get("CASSANDRA_DC"))
        cassandra = running.enter_context(node)
    return {**environ, **settings_of(cassandra, redis)}


def _names_any(environ: Mapping[str, str], *variables: str) -> bool:
    return any(environ.get(each) or environ.get(f"{each}_FILE") for each in variables)


def with_demo(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the demo page switched on, unless it has a setting of the page."""
    return {**environ} if "DEMO_FILE" in environ else {"DEMO": "1", **environ}


def run(environ: Mapping[str, str]) -> int:
    """Start everything, wait for the end of the service, and return its exit status."""
    config = Config.from_env(environ)
    if config.port == 0 or not is_free(config.host, config.port):
        raise ServerError(f"cannot listen on {config.host}:{config.port}; set PORT to a free one")
    with ExitStack() as running:
        settings = with_servers(environ, running)
        log.info("loading the catalogue, unless it is there ...")
        load_catalogue(settings)
        own = Service(with_demo(settings), is_public=True, logged=False)
        service = running.enter_context(own)
        log.info("ready: http://%s:%d (Ctrl-C stops everything)", service.host, service.port)
        return service.wait()


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="stack: %(message)s")
    argparse.ArgumentParser(prog="python -m bench.stack", description=__doc__).parse_args(arguments)
    try:
        with interruptible():
            return run(os.environ)
    except (ServerError, ConfigError) as error:
        log.error("%s", error)
        return 1
    log.info("stopped")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
