"""Metrics of a store: up while it answers, the numbers of the limit, and the times of calls."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from db.cassandra.limit import Limit
from db.embedded import EmbeddedStore
from db.store import CatalogueStore, store_metrics
from db.version import new_id
from errors import NotFound
from metrics import Publisher, Timings
from tests.db.samples import draft


def stub(state: str) -> Any:
    return SimpleNamespace(state=lambda: (state, "why"), timings=Timings("seconds", "", None))


@pytest.mark.parametrize(
    ("state", "up"), [("starting", 0), ("up", 1), ("degraded", 1), ("down", 0)]
)
def test_a_store_is_up_while_it_answers(state: str, up: float) -> None:
    publisher, store = Publisher(), stub(state)
    store_metrics(store, Limit(10), publisher)
    publisher.publish()
    assert publisher.get_sample_value("content_store_up") == up


async def test_a_closed_store_is_not_up(tmp_path: Path) -> None:
    publisher, store = Publisher(), EmbeddedStore(str(tmp_path / "content.sqlite3"))
    store_metrics(store, Limit(10), publisher)
    for step, up in ((None, 0), (store.open, 1), (store.close, 0)):
        if step:
            await step()
        publisher.publish()
        assert publisher.get_sample_value("content_store_up") == up


async def test_reads_in_flight_stand_beside_their_limit() -> None:
    publisher, limit = Publisher(), Limit(100)
    store = stub("up")
    store_metrics(store, limit, publisher)
    for _ in range(3):
        await limit.enter(is_urgent=True)
    limit.updates = 7
    publisher.publish()
    publisher.publish()
    names = ("in_flight", "limit", "min", "max", "limit_updates_total")
    found = [publisher.get_sample_value(f"content_store_reads_{name}") for name in names]
    assert found == [3, 50, 50, 100, 7]


async def test_calls_are_timed_by_their_sort_and_failed_ones_too(store: CatalogueStore) -> None:
    registry = Publisher()
    registry.register(store.timings.histogram)
    store.timings.publish()

    def counts() -> dict[str, float]:
        store.timings.publish()
        samples = [each for metric in registry.collect() for each in metric.samples]
        return {each.labels["sort"]: each.value for each in samples if each.name.endswith("_count")}

    reads, writes = {
        "embedded": ("reads", "writes"),
        "cassandra": ("reads of video", "writes to video"),
    }[store.name]
    before = counts()
    row = await store.create(new_id(), draft(), None)
    await asyncio.gather(*(store.video(row["id"]) for _ in range(3)))
    with pytest.raises(NotFound):
        await store.video(new_id())
    after = counts()
    assert after[reads] - before.get(reads, 0) == 4
    assert after[writes] - before.get(writes, 0) == 1
    seconds = registry.get_sample_value("content_store_seconds_sum", {"sort": reads})
    assert seconds is not None
    assert 0 < seconds < 10
