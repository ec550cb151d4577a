"""Services with the lane and without, over the near cache, over Redis, or over the store alone."""

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from bench.lab.servers import RedisServer, settings_of
from middleware.cache_lookup import STATUS
from tests.http.samples import post
from tests.wire.twins import Twins, twins

GENRES, ENCODED = ["A/B", "c d", "100%"], ["A%2FB", "c%20d", "100%25"]
PATIENT = {"REDIS_DEADLINE_S": "5", "NEAR_TTL_S": "600"}


class Warm(NamedTuple):
    """Twins that both have a row and its genres in the layer that is to answer."""

    twins: Twins
    layer: str
    row_id: str
    etag: str

    @property
    def key(self) -> str:
        return f"/content/{self.row_id}"

    @property
    def hit(self) -> str:
        return STATUS[self.layer].decode()


@pytest.fixture(scope="package", params=["near", "redis", "store"])
def warm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warm]:
    """Near: hits by the lane and by its memory of a plain head. Redis: hits that the lane asks for,
    since nothing is kept near. Store: rows that the lane loads, since there is no cache."""
    settings = dict(PATIENT)
    if request.param == "store":
        settings["NEAR_BYTES"] = "0"
    if request.param == "redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        settings |= {"NEAR_BYTES": "0", **settings_of(redis=redis)}
    with twins(tmp_path_factory.mktemp("twins"), settings) as both:
        row = post(both.lane.client, genres=GENRES)
        for service in both:
            etag = heat(service.client, row["id"])
        yield Warm(both, request.param, row["id"], etag)


def heat(client: httpx.Client, row_id: str) -> str:
    """Puts a row and its genres where they are found from now on; the row's tag."""
    targets = [f"/content/{row_id}", *(f"/content/genre/{name}" for name in ENCODED)]
    for target in targets:
        for _ in range(2):
            found = client.get(target)
            assert found.status_code == 200
    return str(client.get(targets[0]).headers["etag"])
