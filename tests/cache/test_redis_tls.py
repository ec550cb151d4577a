"""Redis behind TLS: in with the right CA and name, and a reason in words with wrong ones."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from bench.lab.processes import free_ports
from bench.lab.servers import RedisServer, redis_program
from cache.near import Near
from cache.redis.address import Address
from cache.redis.connection import Lost
from cache.redis.rows import RedisRows
from cache.redis.sentinel import Sentinels
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import FakeRedis, Recorder, filled, named, until
from tests.certificates import Authority

HOST = "127.0.0.1"
PASSWORD = "pass word"


@dataclass(frozen=True)
class Papers:
    """``right`` is signed by ``ours`` for 127.0.0.1, ``elsewhere`` for another address."""

    ours: Authority
    theirs: Authority
    right: Path
    elsewhere: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    right = ours.signed("right", [HOST], ["localhost"])
    return Papers(ours, theirs, right, ours.signed("elsewhere", ["192.0.2.1"], ["elsewhere"]))


class TlsRedis(RedisServer):
    """A Redis that speaks TLS itself, beside plain text for our own questions."""

    def __init__(self, pem: Path) -> None:
        (self.tls_port,) = free_ports(1)
        files = ("--tls-cert-file", str(pem), "--tls-key-file", str(pem))
        wanted = ("--tls-port", str(self.tls_port), "--tls-auth-clients", "no", *files)
        super().__init__(args=(*wanted, "--requirepass", PASSWORD))


@contextlib.asynccontextmanager
async def before(server: RedisServer | FakeRedis, pem: Path) -> AsyncIterator[int]:
    """The port of somebody who speaks TLS and hands on to ``server``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    open_ones: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        port = int(server.url.rpartition(":")[2]) if isinstance(server, FakeRedis) else server.port
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(pump(reader, back), pump(there, writer))
        for each in (writer, back):
            with contextlib.suppress(OSError):
                await each.wait_closed()
        open_ones.discard(writer)

    tls = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield tls.sockets[0].getsockname()[1]
    finally:
        tls.close()
        for writer in open_ones:
            writer.transport.abort()
        await until(lambda: not open_ones)


def speaks_tls() -> bool:
    """Whether this machine's Redis was built with TLS; the wheel's was not."""
    return b"libssl.so" in Path(redis_program()).read_bytes()


@pytest.fixture(scope="module")
def locked_redis() -> Iterator[RedisServer]:
    with RedisServer(args=["--requirepass", PASSWORD]) as server:
        yield server


@pytest.fixture(params=["proxy", "redis"])
async def tls_port(
    request: pytest.FixtureRequest, papers: Papers, locked_redis: RedisServer
) -> AsyncIterator[int]:
    if request.param == "proxy":
        async with before(locked_redis, papers.right) as port:
            yield port
    elif not speaks_tls():
        pytest.skip("needs a redis-server with TLS on the PATH (Debian's redis-server has it)")
    else:
        with TlsRedis(papers.right) as server:
            yield server.tls_port


def place(port: int, ca: Path | None, password: str = "pass%20word", host: str = HOST) -> Address:
    return Address.from_url(f"rediss://:{password}@{host}:{port}", str(ca) if ca else None)


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_the_right_ca_name_and_password_let_in(
    open_rows: OpenRows, papers: Papers, tls_port: int, host: str
) -> None:
    told = Recorder()
    rows = await open_rows(place(tls_port, papers.ours.ca, host=host), handshake_s=5.0, near=told)
    await filled(rows, host)
    assert await rows.get(host) is not None
    assert told.of("state")[-1]


def test_the_loop_of_the_service_takes_over_a_socket_with_tls(
    papers: Papers, locked_redis: RedisServer
) -> None:
    async def check() -> None:
        async with before(locked_redis, papers.right) as port:
            address = place(port, papers.ours.ca)
            rows = RedisRows(
                address, named("uvloop"), Near(0, 1.0), handshake_s=5.0, deadline_s=2.0
            )
            await rows.open()
            await until(lambda: rows.state == "up")
            await filled(rows, "k")
            assert await rows.get("k") is not None
            await rows.close()

    uvloop.run(check())


async def test_a_wrong_password_is_said(open_rows: OpenRows, papers: Papers, tls_port: int) -> None:
    rows = await open_rows(place(tls_port, papers.ours.ca, "wrong"), up=False, handshake_s=5.0)
    await until(lambda: "WRONGPASS" in rows.reason)
    assert "wrong" not in rows.reason.replace("WRONGPASS", "")


async def test_the_ca_of_others_is_refused_and_said(
    open_rows: OpenRows, papers: Papers, tls_port: int
) -> None:
    for ca in (papers.theirs.ca, None):  # None: this machine's CAs, of which ours is none
        rows = await open_rows(place(tls_port, ca), up=False, handshake_s=5.0)
        await until(lambda: "certificate verify failed" in rows.reason)  # noqa: B023
        assert "issuer" in rows.reason
        assert rows.state == "down"


async def test_a_certificate_for_another_name_is_refused_and_said(
    open_rows: OpenRows, papers: Papers, locked_redis: RedisServer
) -> None:
    async with before(locked_redis, papers.elsewhere) as port:
        for host in (HOST, "localhost"):
            rows = await open_rows(place(port, papers.ours.ca, host=host), up=False)
            await until(lambda: f"not valid for '{host}'" in rows.reason)  # noqa: B023


async def test_a_server_that_does_not_speak_tls_is_down(
    open_rows: OpenRows, papers: Papers, locked_redis: RedisServer
) -> None:
    rows = await open_rows(place(locked_redis.port, papers.ours.ca), up=False)
    await until(lambda: rows._link.attempts > 1)
    assert rows.state == "down"
    assert rows.reason


async def test_what_cannot_get_in_does_not_loop_hot(
    open_rows: OpenRows, papers: Papers, tls_port: int
) -> None:
    rows = await open_rows(place(tls_port, papers.theirs.ca), up=False, handshake_s=5.0)
    await until(lambda: rows._link.attempts > 6)  # 20 ms, 40 ms, ... 1 s
    before = rows._link.attempts
    await asyncio.sleep(2.0)
    assert rows._link.attempts - before <= 4


async def test_a_sentinel_is_verified_by_its_name_at_each_address(
    papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.redis.sentinel.ASK_S", 5.0)
    access = Address(tls=True, ca=str(papers.ours.ca))
    async with FakeRedis() as fake:
        fake.answers["SENTINEL"] = b"*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"
        async with before(fake, papers.ours.signed("name", ["192.0.2.1"], ["localhost"])) as port:
            found = await Sentinels([("localhost", port)], "mine", access).find()
            assert str(found) == "10.0.0.1:6379"
        async with before(fake, papers.elsewhere) as port:
            with pytest.raises(Lost, match="not valid for 'localhost'"):
                await Sentinels([("localhost", port)], "mine", access).find()
