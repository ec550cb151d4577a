"""Near cache: any sequence of operations, compared with a dictionary."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cache.entry import Entry
from cache.near import NEGATIVE
from tests.cache.near_world import NOON, Time, put

LIMIT_BYTES = 100_000
KEYS = st.sampled_from([f"/{n}" for n in range(30)])


class NearMachine(RuleBasedStateMachine):
    """Puts, gets, removals and waits in any order: a hit is the last put, in time and in bounds."""

    def __init__(self) -> None:
        super().__init__()
        self.at = Time()
        self.near = self.at.near(LIMIT_BYTES, ttl_s=10.0)
        self.kept: dict[str, tuple[Entry, float]] = {}

    @rule(
        key=KEYS,
        size=st.integers(0, 300) | st.integers(0, 13_000),
        absent=st.booleans(),
        age_s=st.floats(-5, 8),
        ttl_s=st.none() | st.floats(0, 20),
        jitter=st.floats(0, 1),
    )
    def put(
        self,
        key: str,
        size: int,
        absent: bool,
        age_s: float,
        ttl_s: float | None,
        jitter: float,
    ) -> None:
        self.at.jitter = jitter
        tag = b"" if absent else b'"tag"'
        entry = Entry(bytes(size), tag, NOON + self.at.now_s - age_s, ttl_s)
        self.kept.pop(key, None)
        kept = put(self.near, key, entry)
        if kept is not None:
            limit_s = float("inf") if ttl_s is None else ttl_s - max(0, age_s)
            self.kept[key] = kept, self.at.now_s + min(10.0, limit_s)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        hit = self.near.get(key)
        if hit is not None:
            kept, until_s = self.kept[key]
            assert hit is kept
            assert self.at.now_s < until_s + 1e-6

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.near.remove(key)
        self.kept.pop(key, None)
        assert self.near.get(key) is None

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.at.now_s += seconds

    @rule()
    def clear(self) -> None:
        self.near.clear()
        self.kept.clear()

    @precondition(lambda self: self.near.enabled)
    @rule()
    def disable(self) -> None:
        self.near.disable()
        self.kept.clear()

    @precondition(lambda self: not self.near.enabled)
    @rule()
    def enable(self) -> None:
        self.near.enable()

    @invariant()
    def the_bound_holds(self) -> None:
        assert 0 <= self.near.bytes <= LIMIT_BYTES

    @rule()
    def get_all(self) -> None:
        """A get removes an expired entry; the bytes are those of the remaining entries."""
        found = [hit for key in self.kept if (hit := self.near.get(key)) is not None]
        assert self.near.bytes == sum(entry.cost_bytes for entry in found)
        assert len(self.near) == len(found)
        negative = sum(entry.cost_bytes for entry in found if entry.status == 404)
        assert negative <= LIMIT_BYTES // NEGATIVE

    def teardown(self) -> None:
        self.get_all()


TestAnyOrder = NearMachine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
