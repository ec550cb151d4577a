"""Which tests a worker of pytest-xdist keeps together, and which groups begin first.

Tests of a file share its fixtures, and some files share a service or a node. `xdist_group` would
say so in the tests, but xdist 3.8 writes the mark into ids where pytest 9.2 does not look for it.
"""

from xdist.scheduler import LoadScopeScheduling

FRAIL = "a node that tests stop"
FILES = {
    "tests/db/test_cassandra_outage.py": FRAIL,
    "tests/bench/test_drills.py": FRAIL,
    "tests/bench/test_servers.py": FRAIL,
}
"""Files that share the fixture ``frail_node``. The first one begins without it."""
SERVICES = {
    "tests/http/": ("cassandra", "embedded"),
    "tests/wire/": ("near", "redis", "store"),
}
"""How the id of a service that several files of a folder share begins."""
APART = "tests/simulation/test_schedules.py"
"""Every test of this file takes long, and shares nothing."""
LONGEST = (
    *(FRAIL, "tests/cache/test_failover.py"),
    *("tests/http/ cassandra, redis, near, lane", "tests/http/ cassandra, redis"),
    *("tests/test_workers_end.py", "tests/test_failover_consistency.py"),
    *("tests/db/test_cassandra_moved.py", "tests/simulation/test_mutants.py"),
    *("tests/db/test_same_catalogue.py", "tests/wire/test_keep_alive.py"),
    *("tests/test_consistency.py", "tests/wire/ store", "tests/db/test_cassandra_secure.py"),
    *("tests/db/catalog/test_if_empty.py", "tests/wire/test_budget.py"),
    *("tests/api/test_demo_page.py", "tests/wire/ redis", "tests/wire/test_strict.py"),
    *("tests/db/test_contract_pages.py", "tests/wire/ near", "tests/wire/test_lane_redis.py"),
    *("tests/api/test_fuzz.py", "tests/wire/test_limits.py"),
)
"""These groups begin first, so that no worker waits for one of them at the end. Groups that mostly
sleep stand beside groups that mostly compute."""


def group_of(test: str) -> str:
    """Return the group of a test, from its id."""
    path, _, name = test.partition("::")
    _, _, parameters = name.partition("[")
    for folder, starts in SERVICES.items():
        if path.startswith(folder) and parameters.startswith(starts):
            return f"{folder} {parameters.rstrip(']').partition('-')[0]}"
    return test if path == APART else FILES.get(path, path)


def rank_of(test: str) -> tuple[int, int]:
    """Return the place of the test's group in LONGEST, and the place of its file in the group."""
    group, path = group_of(test), test.partition("::")[0]
    place = LONGEST.index(group) if group in LONGEST else len(LONGEST)
    return place, list(FILES).index(path) if path in FILES else 0


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out whole groups, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
