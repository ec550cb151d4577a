"""The consistency check (``bench/consistency/check.py``) over a failover of Redis, in short."""

import pytest

from bench.consistency.chaos import Options
from bench.consistency.check import run_on
from bench.lab.sentinel import watched
from bench.lab.servers import CassandraNode

LOAD_S = 30.0  # 15 s until the failover, 15 s until the old master is a replica and writes go on
READERS = 4
"""``python -m bench.consistency`` runs for longer, with more of them."""


@pytest.mark.timeout(240)
def test_no_answer_is_older_than_promised_over_a_failover(cassandra_node: CassandraNode) -> None:
    options = Options(seconds=LOAD_S, readers=READERS, restart_redis=True)
    with watched() as redis:
        first = redis.master()
        report = run_on(cassandra_node, redis, options)
        assert redis.master() is not first
    said = "\n".join(report.lines())
    assert not report.verdict.violations, said
    assert report.chaos == {"restart": 1}, said
    assert report.checked > 50 * LOAD_S, said
    statuses = {write.status for write in report.writes}
    assert 503 in statuses, said  # while there is no master
    assert report.counts["near"], said
    assert report.counts["redis"], said
    in_the_end = max(write.answered_s for write in report.writes if write.held)
    assert in_the_end > min(w.answered_s for w in report.writes if w.status == 503), said
