"""Which rows are asked for: the service's own ids, and the activity's reads of them."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

from bench.load.activity import Activity, Behaviour
from bench.load.loops import Request

PAGE = 10_000
REPLAYED = 20_000


def write_ids(url: str, path: Path) -> None:
    """All ids of the service, page by page, one a line."""
    following = f"{url}/uuids?limit={PAGE}"
    with path.open("w") as file:
        while following:
            with urllib.request.urlopen(following, timeout=30) as response:
                file.writelines(f"{each}\n" for each in json.load(response)["data"])
                link = (response.headers.get("Link") or "").partition(">")[0].lstrip("<")
                following = urljoin(following, link) if link else ""


def sample(ids: Path) -> list[Request]:
    """The activity's reads, in order."""
    behaviour = Behaviour(write_share=0)
    schedule = Activity(ids.read_text().split(), behaviour).schedule(REPLAYED / behaviour.rate_s)
    return [request for _, request in schedule]


def write_sample(ids: Path, path: Path) -> None:
    """For ``bench/wrk/replay.lua``."""
    lines = (
        f"{each.path} {each.headers.decode().removeprefix('Priority: ').strip() or 'u=3'}\n"
        for each in sample(ids)
    )
    path.write_text("".join(lines))
