"""A Cassandra that speaks TLS alone and wants a password: in with the right ones, and a reason in
words with wrong ones."""

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.lab.cassandra_node import OPTIONS_REQUEST, RESPONSE_V4
from bench.lab.servers import CassandraNode
from db.cassandra.session import Cassandra, make_cluster
from db.cassandra.store import CassandraStore
from db.version import new_id
from errors import Unavailable
from tests.certificates import Authority
from tests.db.cassandra_world import ask_until_answered, config_of, opened
from tests.db.samples import draft, eventually

pytestmark = pytest.mark.timeout(300)
PASSWORD = "cassandra"  # of the user that a new node has


class SecureNode(CassandraNode):
    """``pem``: its key and certificate."""

    def __init__(self, folder: Path, pem: Path) -> None:
        super().__init__(folder, heap="512M")
        self._pem = pem

    def answers(self) -> bool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reads no CAs
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection((self.host, self.port), timeout=2) as plain,
                context.wrap_socket(plain) as connection,
            ):
                connection.sendall(OPTIONS_REQUEST)
                return connection.recv(4096)[:1] == bytes([RESPONSE_V4])
        except OSError:
            return False

    def _properties(self) -> Mapping[str, object]:
        return {
            **super()._properties(),
            "cassandra.superuser_setup_delay_ms": 0,  # not 10 s
            "cassandra.auth_bcrypt_gensalt_log2_rounds": 4,  # the least
        }

    def _settings(self) -> Mapping[str, object]:
        encryption = {
            "enabled": True,
            "optional": False,
            "ssl_context_factory": {
                "class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"
            },
            "keystore": str(self._pem),
        }
        return {
            **super()._settings(),
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "permissions_validity": "100ms",
            "client_encryption_options": encryption,
        }


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Authority]:
    folder = tmp_path_factory.mktemp("papers")
    return {name: Authority(folder, name) for name in ("ours", "theirs")}


@pytest.fixture(scope="module")
def node(
    papers: Mapping[str, Authority], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureNode]:
    pem = papers["ours"].signed("node", ["127.0.0.1"])
    with SecureNode(tmp_path_factory.mktemp("secure"), pem) as running:
        yield running


def settings(ca: Authority | None, password: str | None = PASSWORD) -> dict[str, Any]:
    return {
        "cassandra_ca": ca and str(ca.ca),
        "cassandra_username": password and "cassandra",
        "cassandra_password": password,
    }


async def reason(node: SecureNode, **wrong: Any) -> str:
    """Why there is no session, once there was time to try twice."""
    async with opened(config_of(node, **wrong), wait=False) as store:
        await eventually(lambda: _tried(store))
        await asyncio.sleep(1.0)
        state, said = store.state()
        assert state == "starting"
        return said


async def _tried(store: Any) -> bool:
    return bool(store.state()[1] != "connecting to Cassandra")


async def test_tls_and_a_password_let_in(node: SecureNode, papers: Mapping[str, Authority]) -> None:
    async with opened(config_of(node, **settings(papers["ours"]))) as store:
        row = await store.create(new_id(), draft(), None)
        assert await store.video(row["id"]) == row


async def test_the_reason_says_that_the_password_is_wrong(
    node: SecureNode, papers: Mapping[str, Authority]
) -> None:
    said = await reason(node, **settings(papers["ours"], "wr0ng"))
    assert "BadCredentials" in said or "credentials" in said.lower()
    assert "wr0ng" not in said


async def test_the_reason_says_that_a_password_is_wanted(
    node: SecureNode, papers: Mapping[str, Authority]
) -> None:
    assert "uthenticat" in await reason(node, **settings(papers["ours"], None))


async def test_the_reason_says_that_the_ca_is_of_others(
    node: SecureNode, papers: Mapping[str, Authority]
) -> None:
    assert "ertificate" in await reason(node, **settings(papers["theirs"]))


async def test_nothing_gets_in_without_tls(
    node: SecureNode, papers: Mapping[str, Authority]
) -> None:
    assert await reason(node, **settings(None))


async def test_a_wrong_password_does_not_loop_hot(
    node: SecureNode, papers: Mapping[str, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    connect = Cassandra._connect

    async def counted(self: Cassandra) -> None:
        nonlocal tries
        tries += 1
        await connect(self)

    monkeypatch.setattr(Cassandra, "_connect", counted)
    config = config_of(node, **settings(papers["ours"], "wr0ng"))
    async with opened(config, wait=False):
        await asyncio.sleep(3.0)
    assert 2 <= tries <= 7


async def test_writes_that_are_not_permitted_degrade_until_they_are(
    node: SecureNode, papers: Mapping[str, Authority]
) -> None:
    admin = config_of(node, **settings(papers["ours"]))
    config = dataclasses.replace(admin, cassandra_username="svc", cassandra_password="svc")
    keyspace = admin.cassandra_keyspace
    async with opened(admin) as first:
        video_id = (await first.create(new_id(), draft(), None))["id"]
        session = await make_cluster(admin, None).create_session()

        async def told(cql: str) -> None:
            await session.query(cql)

        try:
            await told("CREATE ROLE svc WITH PASSWORD = 'svc' AND LOGIN = true")
            await told(f"GRANT ALL ON KEYSPACE {keyspace} TO svc")
            async with opened(config) as store:
                await told(f"REVOKE MODIFY ON KEYSPACE {keyspace} FROM svc")
                await eventually(lambda: _refused(store))
                for _ in range(2):
                    await store.video(video_id)
                    state, reason = store.state()
                    assert state == "degraded"
                    assert "writes to video fail" in reason
                    assert "MODIFY" in reason
                    await asyncio.sleep(1.2)  # a probe or more
                await told(f"GRANT MODIFY ON KEYSPACE {keyspace} TO svc")
                await ask_until_answered(lambda: store.create(new_id(), draft(), None))
                assert store.state() == ("up", "")
        finally:
            await session.close()


async def _refused(store: CassandraStore) -> bool:
    try:
        await store.create(new_id(), draft(), None)
    except Unavailable:
        return True
    return False
