"""The statements that make a login, on a Cassandra that notes them."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from acsylla import errors as driver

from config import Config
from db.cassandra import login, schema

BAD = driver.CassErrorServerBadCredentials("wrong")
SECRET = "a;$b'c"


class Ring:
    """A session of the superuser of a ring of ``size`` nodes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.statements: list[str] = []

    async def query(self, statement: str) -> Any:
        if statement.startswith("SELECT data_center"):
            count = 1 if statement.endswith("system.local") else self._size - 1
            row = SimpleNamespace(as_tuple=lambda: ("dc1", "version"))
            return SimpleNamespace(all=lambda: [row] * count)
        self.statements.append(" ".join(statement.split()))
        return None

    async def close(self) -> None:
        pass


async def made(size: int, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> list[str]:
    """The statements of one run of the program."""
    ring = Ring(size)

    async def session(config: Config, password: str) -> Ring:
        return ring

    monkeypatch.setattr(login, "admin_session", session)
    monkeypatch.setattr(schema, "LOOKS_S", (0.0, 0.0))
    config = Config(cassandra_username='o"neill', cassandra_password=SECRET, **settings)
    await login.ensure(config, "admin's")
    return ring.statements


@pytest.mark.parametrize(
    ("size", "settings", "copies"),
    [(1, {}, []), (2, {}, []), (3, {}, [3]), (5, {}, [3]), (1, {"cassandra_replication": 3}, [3])],
)
async def test_no_run_takes_copies_of_the_logins_away(
    size: int, settings: dict[str, Any], copies: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes may keep two, as their operator has set."""
    statements = await made(size, monkeypatch, **settings)
    about = [each for each in statements if "system_auth" in each]
    assert [each.partition("'dc1': ")[2] for each in about] == [f"{count}}}" for count in copies]


async def test_names_and_secrets_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = await made(3, monkeypatch)
    role = '"o""neill"'
    assert f"ALTER ROLE {role} WITH LOGIN = true AND PASSWORD = 'a;$b''c'" in statements
    assert statements[-1] == "ALTER ROLE cassandra WITH PASSWORD = 'admin''s'"


@pytest.mark.parametrize("may_log_in", [True, False])
async def test_without_the_superuser_the_login_itself_will_do(
    may_log_in: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator has changed the superuser's password. The job has to go on to the import."""
    ring, tried = Ring(1), []

    async def refused(config: Config, password: str) -> Ring:
        tried.append(password)
        raise BAD

    async def session() -> Ring:
        if not may_log_in:
            raise BAD
        return ring

    monkeypatch.setattr(login, "admin_session", refused)
    cluster = SimpleNamespace(create_session=session)
    monkeypatch.setattr(login, "make_cluster", lambda config, datacenter: cluster)
    config = Config(cassandra_username="service", cassandra_password=SECRET)
    with nullcontext() if may_log_in else pytest.raises(type(BAD)):
        await login.ensure(config, "admin's")
    assert (tried, ring.statements) == (["admin's", login.DEFAULT_PASSWORD], [])
    assert ("no login was changed" in capsys.readouterr().err) == may_log_in


def test_the_superuser_is_no_login_of_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its two passwords would be one."""
    for name, value in (("USERNAME", "cassandra"), ("PASSWORD", SECRET), ("ADMIN_PASSWORD", "b")):
        monkeypatch.setenv(f"CASSANDRA_{name}", value)
    assert login.main() == 1
    assert "CASSANDRA_USERNAME is the superuser" in capsys.readouterr().err
