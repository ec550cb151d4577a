"""A service whose store refuses writes says so in ``/readyz``, and its log stays short."""

import resource
from pathlib import Path
from typing import Any

from bench.lab.asking import ask, counted
from bench.lab.targets import Service

ROW = {"title": "A title", "genres": ["Drama"], "isMovie": True, "description": "x" * 5_000}
NO_LIMIT = resource.RLIM_INFINITY


def test_a_full_disk_is_degraded_with_its_reason_until_a_write_works(tmp_path: Path) -> None:
    settings = {"EMBEDDED_PATH": str(tmp_path / "content.sqlite3")}
    with Service(settings, tmp_path) as replica:

        def post() -> int:
            return ask(replica, "/content", "POST", ROW).status

        def ready() -> tuple[int, dict[str, Any]]:
            told = ask(replica, "/readyz")
            return told.status, told.data

        assert (post(), ready()[1]["state"]) == (201, "ready")
        resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (300_000, NO_LIMIT))
        statuses = [post() for _ in range(100)]
        assert set(statuses) == {201, 503}
        status, data = ready()
        assert (status, data["state"], data["store"]) == (200, "degraded", "down")
        assert "disk I/O error" in data["reason"] or "disk is full" in data["reason"]
        assert counted(replica, "content_store_up") == 1  # it answers
        assert ask(replica, "/videos").status == 200
        resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))
        assert post() == 201
        layers = {"store": "up", "redis": "off", "near": "up"}
        assert ready()[1] == {"state": "ready", **layers, "ttl_s": {"near": 5, "redis": 3600}}
    assert replica.log_path is not None
    log = replica.log_path.read_text()
    assert "Traceback" not in log
    assert log.count("answered 503") == 0  # what fails is said once, not for each request
    assert log.count("SQLite: writes fail") == log.count("SQLite: writes work again") == 1
