"""What a consistency run has shown: answers that were too old, how old, and states of no write.

An answer is judged by the moment its request was sent. A write that was acknowledged by then has to
be in it, if the write went through the same replica, or the answer comes from Redis or the store.
The near cache may miss other writes for ``near_ttl_s``, and for PUSHED_S while no push is lost. A
load that was joined (``collapsed``) is as old as the moment at which its first reader asked.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import Any

import orjson

from bench.consistency.readers import ABSENT, Doubt, Readings
from bench.consistency.writers import NO_ANSWER, REST_S, Write, position_of

EXAMPLES = 8
PUSHED_S = 1.0
"""A push takes a millisecond; this bears with a machine that has no time for a replica."""
STATUSES = (200, 201, 404, 409, 412, 422, 503, 504, NO_ANSWER)
"""What a write may be answered; only the first two did anything for sure, the last two may have."""


class History:
    """Acknowledged states of one row: asked since when a state has been too old."""

    def __init__(self, writes: Iterable[Write]) -> None:
        self.writes = sorted(writes, key=lambda write: write.position)
        self._positions = [write.position for write in self.writes]
        # of each state and all later ones, the first that was acknowledged
        earlier = partial(min, key=attrgetter("answered_s"))
        self._earliest = [*accumulate(reversed(self.writes), earlier)][::-1]

    def replaced_by(self, position: int) -> Write | None:
        """Return the first acknowledged write to have made a state at ``position`` out of date."""
        at = bisect_right(self._positions, position)
        return self._earliest[at] if at < len(self._earliest) else None


@dataclass
class Verdict:
    """``violations`` by kind, with ``examples``; ``late_s`` is how late each answer was that was
    rightly old, by layer. ``unfenced`` counts answers that went back behind a state which was not
    acknowledged, after Redis had lost its intent."""

    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    late_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unfenced: int = 0

    def convict(self, kind: str, detail: str) -> None:
        """Count a violation, and keep the first ones as examples."""
        self.violations[kind] += 1
        if self.violations[kind] <= EXAMPLES:
            self.examples.append(f"{kind}: {detail}")


class Judge:
    """Knows every write of a run, and when Redis lost intents; tell it what was read."""

    def __init__(
        self, writes: Sequence[Write], near_ttl_s: float, unfenced_s: Sequence[float] = ()
    ) -> None:
        self.verdict = Verdict()
        self.writes, self._near_ttl_s = writes, near_ttl_s
        self._unfenced_s = unfenced_s
        self._by_number = {write.number: write for write in writes}
        self._deletions: dict[int, list[Write]] = defaultdict(list)
        self._seen_unknown: dict[tuple[int, int], Write] = {}
        held: dict[Any, list[Write]] = defaultdict(list)
        for write in writes:
            if write.status not in STATUSES:
                self.verdict.convict("unforeseen", str(write))
            if write.method == "DELETE" and (write.held or write.unknown):
                self._deletions[write.key].append(write)
            if write.held:
                held[write.key].append(write)
                held[write.key, write.replica].append(write)
        self._histories = defaultdict(lambda: History(()), {k: History(v) for k, v in held.items()})

    def readings(self, readings: Readings) -> None:
        """Judge what readers have seen: states first, because only an answer tells the position of
        a write whose outcome its writer never learned."""
        for key, position, body in readings.states.values():
            self.state(key, position, body)
        for fault in readings.faults:
            self.verdict.convict("malformed", fault)
        for doubt in readings.doubts:
            self.doubt(doubt)

    def state(self, key: int, position: int, body: bytes) -> None:
        """Judge a state that was read: some write has made it to the byte, and was not refused."""
        number = orjson.loads(body)["data"]["duration"]
        write = self._by_number.get(number)
        if write is not None and write.unknown:
            self._seen_unknown[key, position] = write
        if write is None or write.key != key:
            self.verdict.convict("made up", f"key {key}: {body!r}")
        elif write.held and (write.body, write.position) != (body, position):
            self.verdict.convict("differs", f"key {key}: {body!r}, written {write.body!r}")
        elif not write.held and not write.unknown:
            self.verdict.convict("refused write shows", f"key {key}: {write}")

    def doubt(self, doubt: Doubt) -> None:
        """Judge an answer that may be too old."""
        position = self._position(doubt)
        own = self._histories[doubt.key, doubt.replica].replaced_by(position)
        if own is not None and own.answered_s < doubt.start_s:
            self._convict("its own write missed", doubt, own)
        newer = self._histories[doubt.key].replaced_by(position)
        if newer is not None and newer.answered_s < doubt.start_s:
            self._late(doubt, newer)
        if doubt.position != ABSENT and position < doubt.seen and doubt.layer != "collapsed":
            self._went_back(doubt)

    def final(self, key: int, replica: int, position: int, now_s: float) -> None:
        """Judge the state of a replica, or of the store (-1), when all is long over."""
        found = self._position(Doubt(key, replica, "", "", now_s, now_s, position, 0))
        missed = self._histories[key].replaced_by(found)
        if missed is not None:
            where = "the store" if replica < 0 else f"replica {replica}"
            self.verdict.convict("lost write", f"{where} has {position}, not {missed}")

    def at_rest(self, kind: str, key: int, text: str) -> None:
        """Judge a cache that differs from the store although no write of ``key`` is under way. Only
        a write that was given up, and whose intent Redis has lost, leaves that behind."""
        given_up = (w for w in self.writes if w.key == key and w.unknown)
        if any(w.sent_s < s < w.answered_s + REST_S for w in given_up for s in self._unfenced_s):
            self.verdict.unfenced += 1
        else:
            self.verdict.convict(kind, f"key {key} {text}")

    def _position(self, doubt: Doubt) -> int:
        """Return the position; an absent row may be of any deletion sent before the answer came."""
        if doubt.position != ABSENT:
            return doubt.position
        deletions = self._deletions[doubt.key]
        return max((each.position for each in deletions if each.sent_s < doubt.end_s), default=0)

    def _went_back(self, doubt: Doubt) -> None:
        """Nobody promises anything of a state that is not acknowledged, but while its write is
        fenced it cannot be seen and then be gone. Without the fence it can: an older one may be
        filled, until the write's end deletes that. Nobody ends a write that was given up."""
        write = self._find(doubt.key, doubt.seen)
        if write is not None and any(write.sent_s < s < doubt.end_s for s in self._unfenced_s):
            self.verdict.unfenced += 1
        else:
            self.verdict.convict("went back", f"{doubt}, seen was {write}")

    def _late(self, doubt: Doubt, newer: Write) -> None:
        late_s = doubt.start_s - newer.answered_s
        self.verdict.late_s[doubt.layer].append(late_s)
        if doubt.layer in ("redis", "store"):
            self._convict(f"old from {doubt.layer}", doubt, newer)
        elif late_s > self._near_ttl_s:
            self._convict("older than the near TTL", doubt, newer)
        elif late_s > PUSHED_S:
            self._convict("push missed", doubt, newer)

    def _convict(self, kind: str, doubt: Doubt, newer: Write) -> None:
        late_ms = (doubt.start_s - newer.answered_s) * 1000
        self.verdict.convict(kind, f"{doubt} was sent {late_ms:.2f} ms after the answer to {newer}")

    def _find(self, key: int, position: int) -> Write | None:
        known = (w for w in self.writes if (w.key, w.position) == (key, position))
        return next(known, self._seen_unknown.get((key, position)))


def state_of(body: bytes) -> int:
    """Return the position of a row in its envelope."""
    return position_of(orjson.loads(body)["data"]["lastupdated"])
