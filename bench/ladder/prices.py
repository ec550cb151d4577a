"""What a million requests cost, under two assumptions that are stated wherever a price is."""

from __future__ import annotations

from typing import Any

ASSUMED = {"usd_per_core_hour": 0.04, "busy_share": 0.5}
"""About what a core of a general machine costs by the hour at the large clouds; and a site that
keeps half of it free for its peaks."""


def priced(rung: dict[str, Any]) -> dict[str, Any]:
    """The rung with ``usd_per_million``: its CPU at the limit, of all processes."""
    core_s = rung["limit"]["cpu_us_total"]  # of a million requests, as seconds
    usd = core_s / ASSUMED["busy_share"] / 3600 * ASSUMED["usd_per_core_hour"]
    return {**rung, "usd_per_million": usd}
