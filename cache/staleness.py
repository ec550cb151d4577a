"""Decide when an answer past its TTL may be served, by one rule for rows, lists and genre names.

1. The store is known to be down: serve the answer. Redis keeps it for ``STALE_S`` past its TTL.
2. The store is up, and the answer is at most ``GRACE_S`` past its TTL: serve the answer, and
   refresh it in the background. One replica at a time does that.
3. The store is up, and the answer is older: wait for the load. Serve the answer only if the load
   fails with one of ``FAILURES``.

The near cache serves no answer past its TTL. Without Redis the near cache is not told of writes by
other processes, and with Redis the answer comes from Redis.
"""

from errors import Late, Unavailable

LIST_TTL_S = 5.0
"""TTL of genre lists and of the list of genres."""
GRACE_S = 5.0
"""Together with ``LIST_TTL_S`` this bounds how late a list shows a loader's rows: within 10 s."""
FAILURES = (Late, Unavailable)


def may_answer(past_s: float, store_is_up: bool) -> bool:
    """Return whether an old answer is served without waiting for the load.

    The answer is ``past_s`` seconds past its TTL.
    """
    return past_s <= GRACE_S or not store_is_up
