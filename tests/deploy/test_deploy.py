"""``make deploy-test``: the unchanged stack.yml on a Swarm of one node, drilled.

It starts an engine and takes a quarter of an hour, so it runs where DEPLOY_TESTS=1 asks for it, and
nowhere else. The table is kept in docs/deploy-test.md.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT, installed
from tests.deploy import cluster, drills, edge, images
from tests.deploy.engine import Engine, until
from tests.deploy.site import STACK, Site

FOLDER = Path(os.environ.get("DEPLOY_FOLDER") or Path.home() / ".cache" / "content-deploy")
TABLE = ROOT / "docs" / "deploy-test.md"
HEAD = """\
# The site, deployed and drilled

The last output of `make deploy-test`: the unchanged `stack.yml` on a Swarm of one node, its images
made of Debian's packages and Maven's jars, two shared cores. No IPVS in the kernel, so
`ENDPOINT_MODE=dnsrr` and `PORT_MODE=host`; no Grafana, which is no package of Debian's:
[dashboard.svg](dashboard.svg) draws its panels from what Prometheus had of these drills. The load
is wrk's, 64 keep-alive connections through the balancer; slowest is the slowest answer.

| what | must hold | seen | |
|---|---|---|---|
"""


def missing() -> str:
    """Why it cannot be run here; empty when it can."""
    if os.environ.get("DEPLOY_TESTS") != "1":
        return "DEPLOY_TESTS=1 is not set"
    if os.geteuid() != 0:
        return "a Docker engine needs root"
    for program in ("dockerd", "docker", "debootstrap", "wrk", "taskset", "curl", "openssl"):
        try:
            installed(program)
        except ServerError as error:
            return f"{error}: apt-get install docker.io debootstrap wrk curl openssl"
    return ""


GONE_S = 60.0
CLUSTER = """
## The ring: `-c stack.yml -c stack.cluster.yml`

All on the one node, which has the three labels' constraints by variables.

| what | must hold | seen | |
|---|---|---|---|
"""


@contextmanager
def swarming(engine: Engine) -> Iterator[None]:
    """A Swarm for as long as the block lasts, and nothing of a former one."""
    engine.swarm()
    try:
        yield
    finally:
        with suppress(ServerError):
            engine("stack", "rm", STACK)
            # or the next one finds networks that are there, and a moment later are not
            networks = ("network", "ls", "--quiet", "--filter", f"name={STACK}_")
            until("the site is gone", lambda: not engine(*networks), GONE_S)
            engine("swarm", "leave", "--force")


def table(rows: Iterator[drills.Row], lines: list[str]) -> list[drills.Row]:
    """Prints the rows as they come; those that do not hold."""
    broken = []
    for row in rows:
        word = "holds" if row.holds else "BROKEN"
        lines.append(f"| {row.what} | {row.must} | {row.seen} | {word} |\n")
        print(lines[-1], end="", flush=True)
        broken += [] if row.holds else [row]
    return broken


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.timeout(5_400)
def test_the_site_holds() -> None:
    lines = [HEAD]
    with Engine(FOLDER) as engine:
        made = images.make_all(engine)
        with swarming(engine):
            site = Site(engine, made)
            broken = table(drills.rows(site, (*drills.DRILLS, edge.https)), lines)
        lines.append(CLUSTER)
        with swarming(engine):
            site = Site(engine, made, ("stack.yml", "stack.cluster.yml"))
            broken += table(drills.rows(site, cluster.DRILLS), lines)
    TABLE.write_text("".join(lines))
    assert broken == []
