"""Logs: the line of the start, and JSON for every logger, in one process and in several."""

import json
import logging
import os
import sys
from datetime import datetime
from pathlib import Path

import orjson
import pytest

import service
from config import Config
from server import JsonFormatter
from tests.http.service import running
from tests.workers_world import workers


def test_one_line_at_the_start_says_what_is_on_and_where_the_pages_are(tmp_path: Path) -> None:
    with running({"DEMO": "1"}, tmp_path) as service:
        (line,) = [each for each in service.log().splitlines() if "fast lane" in each]
        root = f"http://127.0.0.1:{service.port}"
        assert line.partition(" INFO ")[2] == (
            f"store: SQLite in {tmp_path}/content.sqlite3; Redis: none; near cache: 67108864 bytes;"
            f" fast lane: on; workers: 1; see {root}/docs and {root}/demo"
        )


def test_the_line_names_cassandra_redis_and_what_is_off() -> None:
    config = Config(host="::1", cassandra_host=("a", "b"), redis_host="c", access_log=True)
    assert service._summary(config, 80) == (
        "store: Cassandra at a, b; Redis: on; near cache: 67108864 bytes; fast lane: off;"
        " workers: 1; see http://[::1]:80/docs"
    )
    assert "near cache: 0 bytes" in service._summary(Config(workers=2), 80)


@pytest.mark.parametrize("number", [1, 2])
def test_every_line_is_a_json_object_with_log_format_json(tmp_path: Path, number: int) -> None:
    settings = {"LOG_FORMAT": "json", "ACCESS_LOG": "1", "WORKERS": str(number), "DRAIN_S": "0"}
    with running(settings, tmp_path) as service:
        service.client.get("/content/x", headers={"X-Request-Id": "mine"})
        processes = {service.pid, *workers(service)}
    lines = [orjson.loads(line) for line in service.log().splitlines()]
    for line in lines:
        assert {"time", "level", "logger", "message", "process"} <= line.keys()
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert {"content", "content.access", "uvicorn.error"} == {line["logger"] for line in lines}
    assert {line["process"] for line in lines} <= processes
    assert sum("Application startup complete." in line["message"] for line in lines) == number
    assert sum("fast lane: off" in line["message"] for line in lines) == 1
    (asked,) = [line for line in lines if line.get("request_id") == "mine"]
    assert (asked["status"], asked["path"], asked["level"]) == (404, "/content/x", "INFO")


def test_a_json_line_has_the_traceback_and_is_ascii_whatever_it_says() -> None:
    try:
        raise ValueError("lone \udcff, é\n")
    except ValueError:
        failed = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "", 0, "%s é %s", ("\ud800", object), failed)
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["process"]) == ("ERROR", "x", os.getpid())
    assert line["exception"].startswith("Traceback")
    assert "ValueError: lone \udcff, é" in line["exception"]
