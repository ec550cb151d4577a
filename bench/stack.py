"""`make stack`: a real Cassandra, a real Redis and two replicas of the service, until Ctrl-C.

Servers that the environment names are used as they are; the others are started here.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bench.lab.cassandra_node import DATACENTER
from bench.lab.processes import POLL_S, interruptible, is_free
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import Service, load_catalogue
from config import Config, ConfigError, lookup

log = logging.getLogger("bench")

PORTS_TRIED = 20


def with_servers(environ: Mapping[str, str], running: ExitStack) -> dict[str, str]:
    """Return `environ` with the Cassandra and the Redis that it lacks, started in `running`."""
    config, redis, cassandra = Config.from_env(environ), None, None
    if not config.has_redis:
        redis = running.enter_context(RedisServer())
    if not config.cassandra_host:
        log.info("cassandra is starting, which takes 5 to 60 seconds ...")
        node = CassandraNode(datacenter=config.cassandra_dc or DATACENTER)
        cassandra = running.enter_context(node)
    return {**environ, **settings_of(cassandra, redis)}


def with_demo(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` with the demo page switched on, unless it has a setting of the page."""
    return {**environ} if "DEMO_FILE" in environ else {"DEMO": "1", **environ}


def two_ports(host: str, port: int) -> tuple[int, int]:
    """Return `port` and the next free port above it; raises ServerError."""
    if port == 0 or not is_free(host, port):
        raise ServerError(f"cannot listen on {host}:{port}; set PORT to a free one")
    above = range(port + 1, min(port + PORTS_TRIED, 65_535) + 1)
    other = next((each for each in above if is_free(host, each)), None)
    if other is None:
        raise ServerError(f"no port above {port} is free for the second replica; set PORT")
    return port, other


def in_url(host: str) -> str:
    """Return how a URL names the service that listens on `host`."""
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    name = "127.0.0.1" if host in everywhere else host
    return f"[{name}]" if ":" in name else name


def replica(environ: Mapping[str, str], host: str, own: int, other: int) -> dict[str, str]:
    """Return the settings of the replica at port `own`, which the page of the `other` may read
    from."""
    files = ("HOST_FILE", "PORT_FILE", "CORS_ORIGINS_FILE")
    settings = {name: environ[name] for name in environ if name not in files}
    theirs = (f"http://{name}:{other}" for name in dict.fromkeys((host, "localhost")))
    origins = ",".join(filter(None, (lookup(environ, "CORS_ORIGINS"), *theirs)))
    return {**settings, "PORT": str(own), "CORS_ORIGINS": origins}


def run(environ: Mapping[str, str]) -> int:
    """Start everything, wait until a replica ends, and return the replica's exit status."""
    config = Config.from_env(environ)
    one, other = two_ports(config.host, config.port)
    host = in_url(config.host)
    with ExitStack() as running:
        settings = with_servers(environ, running)
        log.info("loading the catalogue, unless it is there ...")
        load_catalogue(settings)
        services = []
        for ports in ((one, other), (other, one)):
            own = {**replica(with_demo(settings), host, *ports), "HOST": config.host}
            services.append(running.enter_context(Service(own, logged=False)))
        log.info("ready: two replicas, http://%s:%d and http://%s:%d", host, one, host, other)
        log.info(
            "see both on one page: http://%s:%d/demo?replica=http://%s:%d", host, one, host, other
        )
        log.info("Ctrl-C stops everything")
        while all(each.running for each in services):
            time.sleep(POLL_S)
        return next(each.wait() for each in services if not each.running)


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
