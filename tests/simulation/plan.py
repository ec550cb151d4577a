"""What a schedule does: clients, their operations, faults, and settings."""

from dataclasses import dataclass, field

from tests.simulation.fates import Trouble
from tests.simulation.network import Weather

GENRES = ("Drama", "Comedy", "War")


@dataclass(frozen=True)
class Act:
    """One operation of a client, ``pause_s`` after the one before. ``genres``: of a POST or PATCH;
    of a list, the one to read. ``is_conditional``: on the version that this client saw last."""

    pause_s: float
    replica: int
    kind: str
    key: int = 0
    genres: tuple[str, ...] | None = None
    is_conditional: bool = False


@dataclass(frozen=True)
class Fault:
    """Something that breaks at ``at_s``, or ``at_s`` after the ``nth`` event ``after``. ``target``
    is a replica's number; -1 is the replica that caused the event. ``share`` decides between the
    forms of a fault."""

    at_s: float
    kind: str
    target: int = 0
    length_s: float = 0.0
    share: float = 0.0
    after: str = ""
    nth: int = 1


@dataclass
class Plan:
    """A schedule before it is run. Wall clocks of replicas are off by ``offsets_s``. ``redis`` is
    "one" at a fixed name, "none", one that is "deaf" to CLIENT TRACKING, or under "sentinel"."""

    seed: int
    clients: list[list[Act]]
    faults: list[Fault] = field(default_factory=list)
    offsets_s: tuple[float, ...] = (0.0, 0.0)
    keys: int = 1
    redis: str = "one"
    weather: Weather = field(default_factory=Weather)
    trouble: Trouble = field(default_factory=Trouble)
    near_ttl_s: float = 5.0
    row_ttl_s: float = 3_600.0
    stale_s: float = 86_400.0
    store_deadline_s: float = 1.0
    timers_first: bool = True

    @property
    def replicas(self) -> int:
        return len(self.offsets_s)

    @property
    def size(self) -> int:
        """What shrinking makes smaller."""
        return sum(map(len, self.clients)) + len(self.faults)
