"""One schedule: the world is made from a plan, run, brought to rest, and judged."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from tests.simulation.cassandra import Cassandra
from tests.simulation.clients import Client, id_of
from tests.simulation.faults import Faults
from tests.simulation.judge import Judge
from tests.simulation.loop import BOOT_S
from tests.simulation.network import Network, Weather
from tests.simulation.plan import GENRES, Act, Plan
from tests.simulation.records import AT_REST
from tests.simulation.redis_server import Redis
from tests.simulation.replica import Replica
from tests.simulation.sentinel import HOSTS, Sentinel
from tests.simulation.simulator import Simulator
from tests.simulation.truth import Truth

INTENT_S = 10.0
PUSHED_S = 0.03
START_S, CLIENTS_S, SETTLED_S, END_S = 30.0, 60.0, 45.0, 10.0


@dataclass
class Outcome:
    """What a schedule has shown."""

    seed: int
    violations: list[tuple[str, str]]
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    steps: list[str] = field(default_factory=list)
    events: int = 0
    virtual_s: float = 0.0


class World:
    """Everything that a schedule consists of."""

    def __init__(self, plan: Plan, seed: int, *, is_traced: bool = False) -> None:
        self.plan = plan
        self.simulator = Simulator(seed)
        if is_traced:
            self.simulator.steps = []
        self.truth = Truth()
        self.network = Network(self.simulator, plan.weather)
        self.redis, self.spare = Redis(self.simulator, "redis"), Redis(self.simulator, "redis 2")
        self.sentinels = [Sentinel(self.simulator, host, "redis") for host in HOSTS]
        self.network.names.update({each.name: each for each in self.sentinels})
        self.redis.is_deaf = self.spare.is_deaf = plan.redis == "deaf"
        self.follow(self.redis)
        self.cassandra = Cassandra(self.simulator, plan.trouble, self.truth)
        has_redis = plan.redis != "none"
        bound_s = plan.near_ttl_s if has_redis else plan.near_ttl_s + _load_s(plan)
        self.judge = Judge(self.truth, bound_s, INTENT_S, has_redis=has_redis)
        self.faults = Faults(self)
        self._lives = count()
        self._numbers = count(1)
        self.replicas = [self.start(number) for number in range(plan.replicas)]
        self.clients = [self._client(name, acts) for name, acts in enumerate(plan.clients)]
        self._clients_left = len(self.clients)

    def follow(self, master: Redis) -> None:
        """From now on clients are led to this master."""
        self.redis.heard, master.heard = None, self.redis.heard
        self.redis, self.spare = master, self.spare if master is self.redis else self.redis
        if self.plan.redis == "sentinel":
            self.network.names[master.name] = master
            for sentinel in self.sentinels:
                sentinel.master = master.name
        else:
            self.network.names["redis"] = master

    def _client(self, name: int, acts: list[Act]) -> Client:
        return Client(
            name,
            acts,
            self.simulator,
            self.judge,
            self.find,
            lambda: next(self._numbers),
            self._client_ends,
        )

    def start(self, number: int) -> Replica:
        """A new process of a replica."""
        return Replica(self.simulator, self.plan, number, next(self._lives))

    def find(self, number: int) -> Replica | None:
        """The replica that a client reaches: the one it wants, else another that serves."""
        order = self.replicas[number:] + self.replicas[:number]
        return next((r for r in order if r.is_listening), None)

    def run(self) -> Outcome:
        """The whole of the schedule."""
        simulator, judge = self.simulator, self.judge
        if not simulator.run_until(self._is_up, BOOT_S + START_S):
            judge.convict(
                "never up",
                f"{[(r.redis and r.redis.reason, r.store.state()) for r in self.replicas]}",
            )
        self.faults.plan()
        for client in self.clients:
            client.go_on()
        if not simulator.run(simulator.now_s + CLIENTS_S):
            judge.convict("a client is never answered", "")
        self._rest()
        self._last_look()
        judge.refused_writes_did_nothing()
        for kind, error in simulator.errors:
            judge.convict(kind, error)
        simulator.end()
        faults = self.faults.done + self.cassandra.fates.met
        return Outcome(
            self.plan.seed,
            judge.violations,
            judge.counts,
            faults,
            simulator.steps or [],
            simulator.events,
            simulator.now_s - BOOT_S,
        )

    def _is_up(self) -> bool:
        return all(replica.is_up for replica in self.replicas)

    def _client_ends(self) -> None:
        self._clients_left -= 1
        if not self._clients_left:
            self.simulator.halt()

    def _rest(self) -> None:
        """All faults end, and everything that goes on in the background comes to its end."""
        simulator = self.simulator
        self.faults.stop()
        weather = self.network.weather
        simulator.run_until(lambda: self.faults.is_over, simulator.now_s + END_S)
        self.network.weather = Weather()
        self.cassandra.fates.calm()

        def is_quiet() -> bool:
            return not self.cassandra.under_way and all(
                replica.is_up and not replica.is_busy for replica in self.replicas
            )

        simulator.run(simulator.now_s + PUSHED_S + (weather.spike_s if weather.spike else 0.0))
        if not simulator.run_until(is_quiet, simulator.now_s + SETTLED_S):
            self.judge.convict("no rest", f"{[replica.told for replica in self.replicas]}")

    def _last_look(self) -> None:
        """Read every row at every replica, and compare the lists with the rows."""
        acts = [
            Act(0.0, r.number, "read", key) for r in self.replicas for key in range(self.plan.keys)
        ]
        reader = self._client(AT_REST, acts)
        self._clients_left = 1
        reader.go_on()
        if not self.simulator.run(self.simulator.now_s + END_S):
            self.judge.convict("a client is never answered", "at the end")
        if self.judge.gone:  # a process that died leaves lists to ``repair``
            self.cassandra.finish_rounds()  # which reads what is done
            self._look_before_repair()
            self.replicas[0].repair(lambda task: self.simulator.halt())
            if not self.simulator.run(self.simulator.now_s + END_S):
                self.judge.convict("the repair never ends", "")
        self._compare_lists()

    def _look_before_repair(self) -> None:
        """A whole write brings the lists up to its row, whatever earlier writers left undone."""
        for video_id in map(id_of, range(self.plan.keys)):
            if not self.judge.is_whole(video_id):
                continue
            genres = self.cassandra.genres_of(video_id)
            for genre in GENRES:
                lines = self.cassandra.listed(genre).count(video_id)
                if lines != (genre in genres):
                    told = f"{genre}: {lines} lines of {video_id[:8]}, which has {genres}"
                    self.judge.convict("a whole write left lines", told)

    def _compare_lists(self) -> None:
        rows = {id_of(key): self.cassandra.genres_of(id_of(key)) for key in range(self.plan.keys)}
        for genre in GENRES:
            listed = sorted(self.cassandra.listed(genre))
            wanted = sorted(video_id for video_id, genres in rows.items() if genre in genres)
            if listed != wanted:
                is_revived = {*listed} ^ {*wanted} <= self.truth.revived
                kind = "lists lack a frozen creation" if is_revived else "lists differ from rows"
                self.judge.convict(kind, f"{genre}: {listed}, not {wanted}")
            if listed and genre not in self.cassandra.genres():
                is_late = genre in self.truth.unnamed
                by = "a frozen removal" if is_late else "nothing known"
                self.judge.convict(f"a genre lost its name to {by}", genre)


def _load_s(plan: Plan) -> float:
    """How long a load takes at most. Without Redis a near entry's age begins when its load ends."""
    pauses = (fault.length_s for fault in plan.faults if fault.kind == "pause")
    return plan.store_deadline_s + max(pauses, default=0.0)
