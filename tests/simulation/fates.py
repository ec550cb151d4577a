"""What happens to a statement on its way to Cassandra and back."""

from collections import Counter
from dataclasses import dataclass

from tests.simulation.cql import Plan
from tests.simulation.driver import Statement
from tests.simulation.loop import ProcessLoop
from tests.simulation.simulator import Simulator


@dataclass
class Trouble:
    """How often a statement meets what; shares of all statements but the driver's own probes."""

    latency_s: float = 0.001
    spike: float = 0.0
    spike_s: float = 0.3
    lost: float = 0.0
    mute: float = 0.0
    frozen: float = 0.0
    frozen_s: float = 2.0
    doubt: float = 0.0
    refused: float = 0.0


class Fates:
    """Draws what statements meet; ``met`` counts it. ``silent_until_s``: all requests vanish until
    then."""

    def __init__(self, simulator: Simulator, trouble: Trouble) -> None:
        self._simulator, self._trouble = simulator, trouble
        self.met: Counter[str] = Counter()
        self.silent_until_s = 0.0
        self.held_s: dict[int, tuple[float, float]] = {}
        """By replica: how much later its next statement takes effect, and is answered."""
        self.doomed: dict[int, str] = {}
        """By replica: what its next statement meets."""
        shares = (trouble.lost, trouble.mute, trouble.frozen, trouble.doubt, trouble.refused)
        self._shares = [*zip(("lost", "mute", "frozen", "doubt", "refused"), shares, strict=True)]
        self._has_shares = any(shares)

    def calm(self) -> None:
        """From now on nothing is lost or late."""
        self._has_shares = False
        self._trouble = Trouble()

    def frozen_s(self) -> float:
        """For how long after its client's deadline a frozen statement waits."""
        return self._simulator.random.random() * self._trouble.frozen_s

    def latency_s(self) -> float:
        trouble, draw = self._trouble, self._simulator.random.random
        if trouble.spike and draw() < trouble.spike:
            return trouble.spike_s * draw()
        return trouble.latency_s * (0.5 + draw())

    def held(self, loop: ProcessLoop, statement: Statement) -> tuple[float, float]:
        if not self.held_s or statement.plan is None:
            return 0.0, 0.0
        return self.held_s.pop(loop.number, (0.0, 0.0))

    def draw(self, loop: ProcessLoop, statement: Statement) -> str:
        """One of the troubles, or "ok"."""
        if self.doomed and statement.plan is not None and loop.number in self.doomed:
            return self._meet(self.doomed.pop(loop.number), statement.plan)
        if self._simulator.now_s < self.silent_until_s:
            return "lost"
        if not self._has_shares or statement.plan is None:
            return "ok"
        drawn = self._simulator.random.random()
        for fate, share in self._shares:
            drawn -= share
            if drawn < 0:
                return self._meet(fate, statement.plan)
        return "ok"

    def _meet(self, fate: str, plan: Plan) -> str:
        if fate == "doubt" and not plan.is_lwt:
            fate = "mute"
        self.met[fate] += 1
        return fate
