"""What py-spy saw is counted once, under the first place that it belongs to."""

from __future__ import annotations

import pytest

from bench.hotspots import REST, place_of, shares

SERVER = "serve (server.py:121);Protocol.data_received (wire/protocol.py:47)"


@pytest.mark.parametrize(
    ("frames", "place"),
    [
        (f"{SERVER};Protocol._hit (wire/protocol.py:99);Lane.near (wire/lane.py:81)", "near hits"),
        (f"{SERVER};Protocol._hit (wire/protocol.py:99);write (libc.so.6)", "the kernel: write"),
        (f"{SERVER};Lane.near (wire/lane.py:81);Home.near (api/home.py:36)", "home pages"),
        ("serve (server.py:121);run_asgi (uvicorn/x.py:1);route (middleware/onion.py:1)", "the on"),
        ("serve (server.py:121);gc_collect_main (libpython3.11.so.1.0)", "the collector"),
        ("serve (server.py:121);uv_run (core.c:452)", REST),
    ],
)
def test_a_look_belongs_to_one_place(frames: str, place: str) -> None:
    assert place_of(frames).startswith(place)


def test_shares_add_up() -> None:
    found = shares(["a;write (libc.so.6) 3", "b;uv_run (core.c:1) 1"])
    assert found == [("the kernel: write, with the receiving end's part", 0.75), (REST, 0.25)]
