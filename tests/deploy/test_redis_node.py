"""deploy/redis-node.sh on a real Redis: who gets in, and as what."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.processes import Server, free_ports
from bench.lab.sentinel import ask
from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT, installed

SCRIPT = str(ROOT / "deploy" / "redis-node.sh")
PASSWORD, ADMIN = "of-letters.and_digits~7", "another"


class Node(Server):
    """One that the script starts; its folder has the secrets."""

    name = "redis-node"

    def __init__(self, folder: Path, password: str = PASSWORD) -> None:
        super().__init__("127.0.0.1", free_ports(1)[0], folder)
        (folder / "redis_password").write_text(f"{password}\r\n")
        (folder / "redis_admin_password").write_text(f"{ADMIN}\n")

    def command(self) -> list[str]:
        flags = ["--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        return [installed("sh"), SCRIPT, "alone", *flags]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SECRETS": str(self.folder), "RUN": str(self.folder)}

    def answers(self) -> bool:
        return self.refusal("PING").startswith("NOAUTH")

    def refusal(self, *command: str) -> str:
        """What is answered to a caller who does not sign in."""
        try:
            return str(ask(self, *command))
        except Exception as error:  # noqa: BLE001 - hiredis' error for a refusal, or no connection
            return str(error)

    def cli(self, user: str, password: str, *command: str) -> str:
        asked = [installed("redis-cli"), "-p", str(self.port), "--user", user, *command]
        environment = {**os.environ, "REDISCLI_AUTH": password}
        done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.strip()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    try:
        for program in ("redis-server", "redis-cli"):
            installed(program)
    except ServerError as missing:
        pytest.skip(str(missing))
    with Node(tmp_path) as server:
        yield server


def test_nobody_gets_in_without_a_password(node: Node) -> None:
    assert node.refusal("GET", "content:x").startswith("NOAUTH")
    assert "WRONGPASS" in node.refusal("AUTH", "default", "")
    assert "WRONGPASS" in node.refusal("AUTH", "content", "")


def test_the_service_may_use_its_own_keys_alone(node: Node) -> None:
    assert node.cli("content", PASSWORD, "set", "content:x", "1", "px", "1000") == "OK"
    for command in ("get other", "keys *", "flushall", "config set maxmemory 1", "acl list"):
        assert "NOPERM" in node.cli("content", PASSWORD, *command.split())


def test_operators_may_do_all(node: Node) -> None:
    assert "used_memory" in node.cli("admin", ADMIN, "info", "memory")


def test_passwords_are_in_no_command_line(node: Node) -> None:
    seen = Path(f"/proc/{node.pid}/cmdline").read_text()
    assert PASSWORD not in seen
    assert ADMIN not in seen


@pytest.mark.parametrize("password", ["", "a b", "it's", "a/b", "a@b", "über"])
def test_a_password_that_cannot_stand_in_a_url_is_refused_by_name(
    password: str, tmp_path: Path
) -> None:
    node = Node(tmp_path, password)
    done = subprocess.run(
        node.command(), env=node.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "the secret redis_password may have letters, digits and -._~ alone" in done.stderr
