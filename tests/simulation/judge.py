"""The promise of "How fresh an answer is", held against every answer of a schedule.

Places are those of ``truth.py``: the number of a state in the history of its row or list. The
*floor* of a read is the newest place that was acknowledged when the read began.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.loop import BOOT_S
from tests.simulation.records import AT_REST, Read, Write, told
from tests.simulation.truth import Listing, State, Truth

PUSHED_S = 0.4
"""A push takes milliseconds here, unless the network was silent or the process stood still."""
SLACK_S = 0.1
DETACHED_S = 4.0
"""How long a load may go on after its reader was sent away."""
DEFINITE = (200, 201, 404, 409, 412, 422, 503)
"""Answers after which a write must not be done any more; only the first two say that it was."""


@dataclass
class Judge:
    """Hears of every operation's begin and end; ``violations`` says what was broken."""

    truth: Truth
    near_ttl_s: float
    intent_s: float
    has_redis: bool = True
    violations: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    disturbances: list[tuple[float, float]] = field(default_factory=list)
    """Times in which pushes may be held up."""
    unfenced_s: list[float] = field(default_factory=list)
    """Moments in which Redis lost the intents of writes under way."""
    gone: dict[int, float] = field(default_factory=dict)
    """Processes that ended, and when."""

    def __post_init__(self) -> None:
        self.writes: dict[int, Write] = {}
        self._acks: defaultdict[str, list[tuple[int, float, int]]] = defaultdict(list)
        self._open: defaultdict[tuple[str, int], list[Read]] = defaultdict(list)
        self._seen: dict[tuple[str, int, int], int] = {}

    def convict(self, kind: str, detail: str) -> None:
        self.violations.append((kind, detail))

    # writes

    def write_begins(self, write: Write) -> None:
        self.writes[write.number] = write
        self.truth.writes.add(write.number)

    def write_ends(self, write: Write, now_s: float, status: int, version: str | None) -> None:
        """An answer; ``version`` is that of the row it acknowledges, None for a deletion."""
        write.status, write.answered_s = status, now_s
        self.counts[f"{write.kind} {status}"] += 1
        if status not in (200, 201):
            return
        known = self.truth.places.get(version or "", -1)
        place = self._deletion_of(write) if version is None else known
        if place < 0:
            self.convict("acknowledged, but not done", told(write))
            return
        write.place = place
        state = self.truth.rows[write.subject][place]
        if write.before is not None and state.number == write.number:
            replaced = self.truth.rows[write.subject][place - 1].version
            if replaced != write.before:
                self.convict("replaced another version", told(write))
        self._acks[write.subject].append((place, now_s, write.life))
        self._acknowledge_lists(write, state)

    def _acknowledge_lists(self, write: Write, state: State) -> None:
        """A write fences the lists that its change of the row bears on. Lines that an earlier write
        left behind, and that this one brings up too, show in caches when their TTL is over."""
        history = self.truth.rows[write.subject]
        is_own = state.number == write.number
        replaced = history[state.place - 1].genres if is_own else frozenset()
        for genre in state.genres ^ replaced:
            own = [each.place for each in self.truth.lists[genre] if each.number == write.number]
            if own:
                self._acks[genre].append((own[-1], write.answered_s, write.life))

    def is_whole(self, subject: str) -> bool:
        """Whether the newest state of a row is of a write that was sent after the last end of a
        process, and acknowledged: then the lists need no repair for this row."""
        newest = self.truth.rows[subject][-1]
        write = self.writes.get(newest.number)
        if write is None or write.status not in (200, 201) or subject in self.truth.revived:
            return False
        return write.sent_s > max(self.gone.values(), default=0.0)

    def _deletion_of(self, write: Write) -> int:
        """The newest absent state during the operation; a row that another deleted is gone too."""
        history = self.truth.rows[write.subject]
        for at in range(len(history) - 1, -1, -1):
            ended_s = history[at + 1].at_s if at + 1 < len(history) else float("inf")
            if history[at].version is None and ended_s >= write.sent_s:
                return at
        return -1

    # reads

    def read_begins(self, subject: str, client: int, life: int, now_s: float) -> Read:
        acks = self._acks[subject]
        floor = max((place for place, _, _ in acks), default=0)
        own = max((place for place, _, by in acks if by == life), default=0)
        read = Read(subject, client, life, now_s, floor, own, floor)
        others = self._open[subject, life]
        others[:] = [each for each in others if each.ended_s + DETACHED_S > now_s]
        for other in others:
            read.joined_floor = min(read.joined_floor, other.joined_floor)
        others.append(read)
        return read

    def read_fails(self, read: Read, now_s: float, status: int) -> None:
        """No answer to judge; its load may go on, and others may join it."""
        self.counts[f"read {status}"] += 1
        read.ended_s = now_s

    def read_ends(self, read: Read, now_s: float, layer: str, found: str | None) -> None:
        """A row's version, or None for no row. ``layer``: near, redis, store, collapsed or
        stale redis."""
        self._open[read.subject, read.life].remove(read)
        self.counts[layer] += 1
        history = self.truth.rows[read.subject]
        if found is None:
            place = max(each.place for each in history if each.version is None)
        else:
            place = self.truth.places.get(found, -1)
            if place < 0:
                self.convict("made up", f"{read} had {found}")
                return
        self._check(read, now_s, layer, place, history)

    def list_ends(self, read: Read, now_s: float, layer: str, ids: tuple[str, ...]) -> None:
        """The ids of a genre's list; none if it was absent."""
        self._open[read.subject, read.life].remove(read)
        self.counts[f"list {layer}"] += 1
        history = self.truth.lists[read.subject]
        places = [each.place for each in history if each.ids == ids]
        if not places:
            self.convict("made up list", f"{read} had {ids}")
            return
        self._check(read, now_s, layer, places[-1], history)

    def _check(self, read: Read, now_s: float, layer: str, place: int, history: list[Any]) -> None:
        is_list = isinstance(history[0], Listing)
        if place < read.own_floor:
            self._old("its own write missed", read, layer, place)
        elif layer == "collapsed" and place < read.joined_floor:
            self._old("a joined load was too old", read, layer, place)
        elif place < read.floor:
            if layer.endswith("near"):
                self._near(read, layer, place, history)
            elif layer != "collapsed":
                self._old(f"old from {layer}", read, layer, place)
        if is_list:
            return
        if layer != "collapsed":
            self._went_back(read, now_s, layer, place, history)
        if read.client == AT_REST and place < history[-1].place:
            self._left_behind(read, layer, place, history[-1])

    def _old(self, kind: str, read: Read, layer: str, place: int) -> None:
        is_row = read.subject in self.truth.rows
        history = (self.truth.rows if is_row else self.truth.lists)[read.subject]
        missed = self.writes.get(history[read.floor].number)
        self.convict(
            kind,
            f"client {read.client} at process {read.life} read {read.subject[:8]} at "
            f"{(read.began_s - BOOT_S) * 1000:.3f} ms and had state {place} from {layer}; state "
            f"{read.floor} was acknowledged before" + (f", by {told(missed)}" if missed else ""),
        )

    def _near(self, read: Read, layer: str, place: int, history: list[Any]) -> None:
        acked_s = min(at_s for newer, at_s, _ in self._acks[read.subject] if newer > place)
        late_s = read.began_s - acked_s
        if late_s > self.near_ttl_s + SLACK_S:
            is_absence = isinstance(history[0], State) and history[place].version is None
            kind = "an absence" if is_absence else "an entry"
            self._old(f"{kind} older than the near TTL", read, layer, place)
        elif self.has_redis and late_s > PUSHED_S and not self._is_disturbed(acked_s, read.began_s):
            self._old("push missed", read, layer, place)

    def _went_back(
        self, read: Read, now_s: float, layer: str, place: int, history: list[State]
    ) -> None:
        """A state that a client saw must not be gone for it at the same replica later. Without a
        fence it may be, while its write is not acknowledged."""
        who = read.subject, read.client, read.life
        seen = self._seen.get(who, 0)
        if place >= seen:
            self._seen[who] = place
            return
        if layer.endswith("near") and read.began_s - history[seen].at_s < PUSHED_S:
            return  # the push may be under way
        write = self.writes.get(history[seen].number)
        if write is not None and self._is_fenced(write, now_s):
            self._old("went back", read, layer, place)

    def _left_behind(self, read: Read, layer: str, place: int, newest: State) -> None:
        """At rest every cache has what the store has, also after a write that was never
        acknowledged, unless its fence was lost or the write took longer than its intent."""
        write = self.writes.get(newest.number)
        if write is None or read.subject in self.truth.revived:
            return
        if layer == "near" and (
            not self.has_redis or self._is_disturbed(newest.at_s, read.began_s)
        ):
            return
        if write.status in (200, 201) or self._is_fenced(write, newest.at_s):
            self._old("left behind", read, layer, place)

    def _is_disturbed(self, since_s: float, until_s: float) -> bool:
        """Whether a push may have been held up in that time."""
        return any(
            begin_s < until_s and end_s > since_s - PUSHED_S for begin_s, end_s in self.disturbances
        )

    def _is_fenced(self, write: Write, at_s: float) -> bool:
        """Whether the write's intent stood from its beginning to ``at_s``."""
        if not self.has_redis:
            return False
        if write.status in (200, 201):
            return write.answered_s < at_s
        if at_s - write.sent_s > self.intent_s - 1:
            return False
        return not any(write.sent_s <= lost_s <= at_s for lost_s in self.unfenced_s)

    # the end

    def refused_writes_did_nothing(self) -> None:
        """Look whether a write was done twice, or after its answer, or although it was refused."""
        for history in self.truth.rows.values():
            done = Counter(state.number for state in history)
            for state in history:
                write = self.writes.get(state.number)
                if write is None:
                    continue
                if done[state.number] > 1:
                    self.convict("done twice", told(write))
                if write.status not in DEFINITE:
                    continue
                if state.at_s > write.answered_s and write.kind in ("post", "again"):
                    self.convict("created after its answer", told(write))
                elif state.at_s > write.answered_s:
                    self.convict("done again after its answer", told(write))
                elif write.status not in (200, 201):
                    self.convict("refused, but done", told(write))
