"""The ladder in a table of Markdown, for the terminal and the README."""

from __future__ import annotations

from typing import Any

HEAD = (
    "| rung | requests/s at the limit | CPU us/request, all processes | p50 ms | p99 ms | p99.9 ms "
    "| from a cache |\n|---|---|---|---|---|---|---|"
)


def table(result: dict[str, Any]) -> str:
    """Limit and CPU are of the limit's run, latencies and layers of the open loop's."""
    lines = [HEAD]
    for rung in result["rungs"]:
        seen, most = rung["open"], rung["limit"]
        latency = " | ".join(f"{seen['latency_ms'][each]:.1f}" for each in ("50", "99", "99.9"))
        lines.append(
            f"| {rung['name']} | {most['goodput_s']:,.0f} | {most['cpu_us_total']:,.0f} "
            f"| {latency} | {seen['cached']:.0%} |"
        )
    return "\n".join(lines)
