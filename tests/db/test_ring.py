"""Three nodes: a schema that everybody makes, one node dead, a table altered, pages in a restart.

The nodes say that they are in ``eu-west``, so nothing here works by assuming ``datacenter1``. One
ring for the module; each test leaves it whole.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.lab.servers import CassandraNode, cassandra_ring
from config import ConfigError
from db.cassandra import session
from db.cassandra.store import CassandraStore
from db.version import Expected, new_id
from errors import NotFound
from tests.db.cassandra_world import ask_until_answered, is_up, opened
from tests.db.ring_world import Failure, ask, config_of_ring, count, filled, loaded
from tests.db.samples import draft, eventually

# pytest says so in its summary: a ring takes three nodes, 2 GiB and some minutes
only_asked = pytest.mark.skipif(
    "RING_TESTS" not in os.environ, reason="set RING_TESTS=1 for a ring"
)

ROOT = Path(__file__).resolve().parents[2]
DATACENTER = "eu-west"
TABLES = ("video", "video_by_genre", "genre", "deleted", "about")
LOADED_ROWS, KNOWN_ROWS = 500, 100
IN_FLIGHT_S = 0.2
"""How long after a kill a request may still go to the dead node: until its end is noticed."""
DEAD_S = 8.0
"""How long a node stays dead: the others take 5 to 6 s to see that it is."""

pytestmark = [only_asked, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ring() -> Iterator[list[CassandraNode]]:
    with cassandra_ring(DATACENTER) as nodes:
        # a node that has just joined answers before the others list it
        while any(len(ask(node, "SELECT peer FROM system.peers")) < 2 for node in nodes):
            time.sleep(0.05)
        yield nodes


async def load_catalogue(ring: list[CassandraNode], host: str) -> int:
    """``python -m db.catalog generate``, to its end; its status."""
    settings = {"CASSANDRA_HOST": host, "CASSANDRA_PORT": str(ring[0].port)}
    command = f"-m db.catalog generate {LOADED_ROWS}".split()
    loader = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, env=os.environ | settings
    )
    return await loader.wait()


def tables_of(node: CassandraNode) -> dict[bytes, bytes]:
    where = "keyspace_name = 'content'"
    cql = f"SELECT table_name, id FROM system_schema.tables WHERE {where}"
    ((replication,),) = ask(node, f"SELECT replication FROM system_schema.keyspaces WHERE {where}")
    assert replication.partition(b"eu-west")[2][:5] == b"\x00\x00\x00\x013"  # a text of length 1
    return dict(ask(node, cql))


async def test_everybody_creates_the_schema_and_there_is_one(ring: list[CassandraNode]) -> None:
    hosts = [node.host for node in ring]
    orders = [hosts[:1], hosts[1:2], hosts[2:], hosts, hosts[::-1], hosts[1:] + hosts[:1]]
    stores = [CassandraStore(config_of_ring(ring, order)) for order in orders]
    try:
        loading = asyncio.create_task(load_catalogue(ring, hosts[1]))
        await asyncio.gather(*(store.open() for store in stores))
        for store in stores:
            await eventually(partial(is_up, store))
        assert await loading == 0
        rows = {}
        for store in stores:
            key = new_id()
            rows[key] = await ask_until_answered(partial(store.create, key, draft("ring"), None))
        tables = [tables_of(node) for node in ring]
        assert set(tables[0]) == {name.encode() for name in TABLES}
        assert tables[1:] == tables[:-1]
        before = await count(ring, "content.video")
        assert before >= LOADED_ROWS + len(rows)

        await asyncio.gather(*(asyncio.to_thread(node.stop) for node in ring))
        for node in ring:  # the others give up without their seed
            await asyncio.to_thread(node.start)
        assert await count(ring, "content.video") == before
        assert [tables_of(node) for node in ring] == tables
        for store in stores:
            for key, row in rows.items():
                assert await ask_until_answered(partial(store.video, key)) == row
    finally:
        await asyncio.gather(*(store.close() for store in stores))
    for node in ring:
        # a table made twice has left a folder of its first id, even if it is gone
        folders = (node.folder / "data" / "content").iterdir()
        assert Counter(each.name.split("-")[0] for each in folders) == dict.fromkeys(TABLES, 1)
        assert node.log_path
        assert "ID mismatch" not in node.log_path.read_text(errors="replace")


async def test_the_data_centre_is_found_or_told(
    ring: list[CassandraNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(config_of_ring(ring, cassandra_dc=DATACENTER)):
        pass
    monkeypatch.setattr(session, "OPEN_S", 60.0)  # else a slow machine starts, and tells later
    with pytest.raises(ConfigError, match=f"CASSANDRA_DC is dc1.*{DATACENTER}"):
        async with opened(config_of_ring(ring, cassandra_dc="dc1"), wait=False):
            pass


@pytest.mark.parametrize("victim", [2, 0], ids=["third", "first"])
async def test_a_dead_node_fails_no_read_and_no_write(
    ring: list[CassandraNode], victim: int
) -> None:
    """Nor does one that comes back and has forgotten every prepared statement; only a write may
    be late for the Java of a node that has just started."""
    async with opened(config_of_ring(ring)) as store:
        known = await filled(store, KNOWN_ROWS)
        async with loaded(store, known) as load:
            await asyncio.sleep(2)
            await asyncio.to_thread(ring[victim].kill)
            killed = time.monotonic()
            await asyncio.sleep(DEAD_S)
            usual, load.reads_per_s = load.reads_per_s, 30  # a start takes the time of the others
            await asyncio.to_thread(ring[victim].start)
            back = time.monotonic()
            await asyncio.sleep(2)
            load.reads_per_s = usual
            await asyncio.sleep(2)
        since = killed + IN_FLIGHT_S
        for failed in (
            load.failed_in("read", since),
            load.failed_in("write", since, back),
            # Cassandra reads ranges without speculation: pages fail until the death is noticed
            load.failed_in("page", killed + DEAD_S),
        ):
            assert not failed, told(failed, killed)
        assert store.state() == ("up", "")
    await count(ring, "content.video")


def told(failed: list[Failure], moment: float) -> str:
    when = [failure.began - moment for failure in failed]
    kinds = Counter(failure[2:] for failure in failed)
    return f"{kinds} from {min(when, default=0):.2f} to {max(when, default=0):.2f} s"


async def test_reads_pass_an_alter_table(ring: list[CassandraNode]) -> None:
    async with opened(config_of_ring(ring)) as store:
        known = await filled(store, KNOWN_ROWS)
        async with loaded(store, known) as load:
            await asyncio.sleep(1)
            began = time.monotonic()
            for node, change in ((ring[1], "ADD x int"), (ring[2], "DROP x")):
                await asyncio.to_thread(ask, node, f"ALTER TABLE content.video {change}")
                await asyncio.sleep(2)
        assert not load.failed_in("read", 0), told(load.failed, began)


async def test_a_walk_sees_what_stays_once(ring: list[CassandraNode]) -> None:
    """In pages of 7, while rows come and go, the cursor's own among them, and a node restarts."""
    async with opened(config_of_ring(ring)) as store:
        await filled(store, LOADED_ROWS)
        there = [video_id async for page in pages(store) for video_id in page]
        staying, goers = set(there) - set(there[::3]), set(there[::3])
        restart = asyncio.create_task(asyncio.to_thread(ring[1].restart))
        walks = 0
        while not restart.done() or not walks:
            seen: list[str] = []
            async for page in pages(store):
                seen += page
                for key in goers.intersection(page[-1:]):
                    await ask_until_answered(partial(ended, store, key))
                if len(seen) % 35 == 0:
                    key = new_id()
                    await ask_until_answered(partial(store.create, key, draft("ring"), None))
                    goers.add(key)
                await asyncio.sleep(0.03)
            assert len(seen) == len(set(seen))
            assert staying <= set(seen)
            walks += 1
        await restart
    await count(ring, "content.video")


async def pages(store: CassandraStore) -> AsyncIterator[list[str]]:
    """To the end; a page that fails is asked for again, as a client does with a 503."""
    page = await ask_until_answered(partial(store.ids, None, 7))
    while page:
        yield page
        page = await ask_until_answered(partial(store.ids, page[-1], 7))


async def ended(store: CassandraStore, key: str) -> None:
    """Deletes a row; fine if an earlier try has done so."""
    try:
        await store.delete(key, Expected())
    except NotFound:
        return
