"""A Cassandra that comes back at another address, as a container does, and one with logins."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.lab.cassandra_node import CassandraNode, Ports
from bench.lab.processes import free_ports
from config import Config
from db.cassandra import login
from db.cassandra.session import make_cluster
from db.cassandra.store import CassandraStore
from db.version import new_id
from tests.db.cassandra_world import is_up, opened
from tests.db.samples import draft, eventually

HOSTS = ("127.0.0.1", "127.0.0.2")
SECRET = "it's secret"


class Guarded(CassandraNode):
    """A node that asks for a login, as stack.yml's does."""

    def _properties(self) -> Mapping[str, object]:
        return {
            **super()._properties(),
            "cassandra.config.allow_system_properties": "true",
            "cassandra.superuser_setup_delay_ms": 1_000,  # not 10 s
            "cassandra.role_password_update_min_interval_in_ms": 500,  # not 5 s
            "cassandra.auth_bcrypt_gensalt_log2_rounds": 4,  # the least
            "cassandra.settings.authenticator": "PasswordAuthenticator",
            "cassandra.settings.authorizer": "CassandraAuthorizer",
        }


@pytest.fixture(scope="module")
def ports() -> Ports:
    return Ports(*free_ports(2, HOSTS))


@pytest.fixture
def guarded(tmp_path: Path, ports: Ports) -> Iterator[tuple[CassandraNode, CassandraNode]]:
    """One node's two addresses; it runs at the first."""
    here, there = (Guarded(tmp_path / "node", host, ports=ports, heap="512M") for host in HOSTS)
    try:
        yield here.start(), there
    finally:
        here.stop()
        there.stop()


async def login_works(config: Config, username: str, password: str) -> bool:
    as_user = dataclasses.replace(config, cassandra_username=username, cassandra_password=password)
    try:
        session = await make_cluster(as_user, None).create_session()
    except Exception:  # noqa: BLE001 - a refused login may look like an outage to the driver
        return False
    await session.close()
    return True


async def login_is_made(config: Config) -> bool:
    """Run the program until it succeeds, as the stack does."""
    try:
        await login.ensure(config, "admin's")
    except Exception:  # noqa: BLE001 - Cassandra has no roles in its first seconds
        return False
    return True


async def is_gone(store: CassandraStore) -> bool:
    return store.state()[0] == "down"


@pytest.mark.timeout(300)
async def test_a_login_is_made_and_a_moved_cassandra_is_found(
    guarded: tuple[CassandraNode, CassandraNode],
) -> None:
    """In one test, for what it takes to start a node."""
    here, there = guarded
    config = Config(cassandra_host=HOSTS[:1], cassandra_port=here.port, store_deadline_s=5.0)
    config = dataclasses.replace(config, cassandra_username="content", cassandra_password=SECRET)
    await eventually(lambda: login_is_made(config))
    await eventually(lambda: _none_but_ours(config))  # logins are remembered for 2 s
    await eventually(lambda: login_is_made(config))  # again, over what is there

    admin = await login.admin_session(config, "admin's")
    await admin.query("DROP KEYSPACE content")  # and with it the role's rights
    await admin.close()
    changed = dataclasses.replace(config, cassandra_password="another")
    await eventually(lambda: login_is_made(changed))
    await eventually(lambda: login_works(config, "content", "another"))

    movable = dataclasses.replace(changed, cassandra_host=HOSTS)
    async with opened(movable) as store:  # makes its tables, which is all that it may
        video_id = new_id()
        await store.create(video_id, draft(title="still here"), None)
        here.stop()
        await eventually(lambda: is_gone(store))
        there.start()
        await eventually(lambda: is_up(store))
        assert (await store.video(video_id))["title"] == "still here"
    elsewhere = dataclasses.replace(movable, cassandra_keyspace="elsewhere", cassandra_host=HOSTS)
    async with opened(elsewhere, wait=False) as refused:
        await eventually(lambda: _may_not(refused))


async def _may_not(store: CassandraStore) -> bool:
    state, reason = store.state()
    return state == "starting" and ("elsewhere" in reason or "permission" in reason)


async def _none_but_ours(config: Config) -> bool:
    """Return whether our login works, and the default password does not."""
    return await login_works(config, "content", SECRET) and not await login_works(
        config, login.ADMIN, login.DEFAULT_PASSWORD
    )
