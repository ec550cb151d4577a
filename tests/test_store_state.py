"""A service whose store refuses writes says so in ``/readyz``, and its log stays short."""

from __future__ import annotations

import resource
from pathlib import Path

import orjson

from bench.consistency.client import Client
from bench.lab.targets import Service

ROW = {"title": "A title", "genres": ["Drama"], "isMovie": True, "description": "x" * 5_000}
NO_LIMIT = resource.RLIM_INFINITY


async def test_a_full_disk_is_degraded_with_its_reason_until_a_write_works(tmp_path: Path) -> None:
    settings = {"EMBEDDED_PATH": str(tmp_path / "content.sqlite3")}
    with Service(settings, tmp_path) as replica:
        client = Client(replica.port)

        async def post() -> int:
            body = orjson.dumps(ROW)
            answer = await client.ask("POST", "/content", body)
            return answer.status

        async def ready() -> tuple[int, dict[str, str]]:
            answer = await client.ask("GET", "/readyz")
            data: dict[str, str] = orjson.loads(answer.body)["data"]
            return answer.status, data

        assert (await post(), (await ready())[1]["state"]) == (201, "ready")
        resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (300_000, NO_LIMIT))
        statuses = [await post() for _ in range(100)]
        assert set(statuses) == {201, 503}
        status, data = await ready()
        assert (status, data["state"], data["store"]) == (200, "degraded", "down")
        assert "disk I/O error" in data["reason"] or "disk is full" in data["reason"]
        assert (await client.ask("GET", "/videos")).status == 200
        resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))
        assert await post() == 201
        assert (await ready())[1] == {"state": "ready", "store": "up", "redis": "off"}
        await client.close()
    assert replica.log_path is not None
    log = replica.log_path.read_text()
    assert "Traceback" not in log
    assert log.count("answered 503") == 1
    assert log.count("SQLite: writes fail") == log.count("SQLite: writes work again") == 1
