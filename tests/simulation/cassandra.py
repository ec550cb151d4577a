"""A simulated Cassandra behind the driver's session: transactions, late answers and lost ones.

Each statement takes effect at one moment between its request and its answer, as LOCAL_QUORUM and
LOCAL_SERIAL promise. A request may be lost, its answer may be lost, a frozen node may run it long
after the client gave up, and a Paxos round may stay open until a later one finishes or drops it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from acsylla import errors as driver

from db.cassandra import schema
from tests.simulation.cql import UNSET, Plan
from tests.simulation.database import Cells, Database, Key, clustering_of, partition_of
from tests.simulation.driver import Prepared, Result, Row, Statement
from tests.simulation.fates import Fates, Trouble
from tests.simulation.loop import EPOCH_S, ProcessLoop
from tests.simulation.request import Request, event_of, fail, short, succeed
from tests.simulation.simulator import Simulator
from tests.simulation.truth import Truth, operation

ROWS, LINES = "video", "video_by_genre"


class Cassandra:
    """The cluster; to the service it is the driver's session. ``away_until_s``: nobody is there
    until then."""

    def __init__(self, simulator: Simulator, trouble: Trouble, truth: Truth) -> None:
        self.simulator, self.truth = simulator, truth
        self.fates = Fates(simulator, trouble)
        self.database = Database()
        self.away_until_s = 0.0
        self.under_way = 0
        """Statements that have not taken effect yet, frozen ones too."""
        self.heard: Callable[[str, ProcessLoop], None] | None = None
        """Is told the kind of each statement that took effect, and whose it was."""
        self._doubts: defaultdict[tuple[str, Key], list[tuple[Plan, list[Any], int]]]
        self._doubts = defaultdict(list)
        self._last_us = 0

    # the driver

    async def create_session(self, keyspace: str | None = None) -> "Cassandra":
        if self.simulator.now_s < max(self.away_until_s, self.fates.silent_until_s):
            raise driver.CassErrorLibNoHostsAvailable("no hosts available")
        return self

    async def close(self) -> None:
        """The driver's session ends; the cluster does not."""

    async def create_prepared(self, cql: str, timeout: float) -> Prepared:
        return Prepared(cql)

    async def query(self, cql: str) -> Result:
        """What ``db.cassandra.schema`` asks the system tables."""
        if "system.peers" in cql:
            return Result()
        if "system_schema.columns" in cql:
            return Result(map(Row, schema.columns()))
        return Result([Row(("dc1", "one"))] if "system.local" in cql else [])

    def execute(self, statement: Statement) -> asyncio.Future[Result]:
        """The answer, or the driver's error."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        answer: asyncio.Future[Result] = loop.create_future()
        simulator = self.simulator
        late_s, back_s = self.fates.held(loop, statement)
        there_s = simulator.now_s + self.fates.latency_s() + late_s
        if simulator.now_s < self.away_until_s:
            error = driver.CassErrorLibNoHostsAvailable("no hosts available")
            simulator.at(there_s, loop.deliver, fail, answer, error)
            return answer
        fate = self.fates.draw(loop, statement)
        self.under_way += fate in ("ok", "frozen", "mute")
        request = Request(loop, statement, answer, operation.get(), back_s)
        if fate == "refused":
            error = driver.CassErrorServerUnavailable("not enough nodes")
            simulator.at(there_s, loop.deliver, fail, answer, error)
        elif fate == "doubt":
            simulator.at(there_s, self._open_round, request)
        elif fate == "ok":
            simulator.at(there_s, self._serve, request)
            if there_s > request.due_s:
                self._time_out(request)
        else:
            self._time_out(request)
            if fate == "frozen":
                late_s = statement.timeout_s + self.fates.frozen_s()
                simulator.after(late_s, self._serve, request)
            elif fate == "mute":
                simulator.at(there_s, self._serve, request, True)
        return answer

    def _time_out(self, request: Request) -> None:
        error = driver.CassErrorLibRequestTimedOut("Request timed out")
        self.simulator.at(request.due_s, request.loop.deliver, fail, request.answer, error)

    # the server

    def _serve(self, request: Request, is_mute: bool = False) -> None:
        """The statement takes effect now; its answer follows."""
        self.under_way -= 1
        statement = request.statement
        plan = statement.plan
        if plan is None:
            result = Result([Row(("local",))])
        else:
            if plan.is_lwt or statement.serial:
                self._finish_rounds(plan, statement.values)
            result = self.run(plan, statement.values, request.number)
            if plan.is_lwt and self.simulator.now_s > request.due_s and result[0][0]:
                self._was_delayed(plan, statement.values)
            if self.simulator.steps is not None:
                self._say(request, f"{result}")
            if self.heard is not None:
                is_write = request.number in self.truth.writes
                self.heard(event_of(plan, statement, is_write=is_write), request.loop)
        if not is_mute:
            back_s = self.fates.latency_s() + request.back_s
            if self.simulator.now_s + back_s > request.due_s >= self.simulator.now_s:
                self._time_out(request)
            self.simulator.after(back_s, request.loop.deliver, succeed, request.answer, result)

    def _was_delayed(self, plan: Plan, values: list[Any]) -> None:
        """A transaction took effect after its client had given up, and may so once more."""
        if plan.only_new and plan.table.name == ROWS:
            self.truth.revived.add(str(partition_of(plan, values)[0]))
        elif plan.if_exists and plan.table.name != ROWS:
            self.truth.unnamed.add(str(clustering_of(plan, values)[0]))

    def _open_round(self, request: Request) -> None:
        """A Paxos round that is accepted by some nodes: nobody knows yet whether it holds."""
        plan = request.statement.plan
        assert plan is not None
        self._finish_rounds(plan, request.statement.values)
        key = plan.table.name, partition_of(plan, request.statement.values)
        self._doubts[key].append((plan, request.statement.values, request.number))
        if self.simulator.steps is not None:
            self._say(request, "the round stays open")
        # the commit is late, or too few nodes are there for it
        late, away = driver.CassErrorServerWriteTimeout, driver.CassErrorServerUnavailable
        error = (away if request.number % 4 == 0 else late)("no commit")
        self.simulator.after(
            self.fates.latency_s(), request.loop.deliver, fail, request.answer, error
        )

    def finish_rounds(self) -> None:
        """End every open round, as the next look at its row would."""
        for key in list(self._doubts):
            plan, values, _ = self._doubts[key][0]
            self._finish_rounds(plan, values)

    def _finish_rounds(self, plan: Plan, values: list[Any]) -> None:
        """A later round finishes an open one or drops it."""
        for each in self._doubts.pop((plan.table.name, partition_of(plan, values)), ()):
            holds = self.simulator.random.random() < 0.5
            if self.simulator.steps is not None:
                self.simulator.say(f"cassandra: an open round {'holds' if holds else 'is dropped'}")
            if holds:
                self.run(*each)

    def _say(self, request: Request, result: str) -> None:
        plan = request.statement.plan
        assert plan is not None
        what = f"{plan.kind.upper()} {plan.table.name}{' IF' if plan.is_lwt else ''}"
        told = [value for value in request.statement.values if value is not UNSET]
        self.simulator.say(
            f"cassandra < {request.loop.name}: {what} {short(told)} = {short(result)}"
        )

    def now_us(self) -> int:
        """The coordinator's clock, never twice the same."""
        now_us = int((EPOCH_S + self.simulator.now_s) * 1e6)
        self._last_us = max(self._last_us + 1, now_us)
        return self._last_us

    def run(self, plan: Plan, values: list[Any], number: int) -> Result:
        """Execute a statement on the data, and tell the truth of what it changed."""
        result, changed = self.database.execute(plan, values, self.now_us)
        if changed is not None:
            self._note(plan, partition_of(plan, values), changed, number)
        return result

    def _note(self, plan: Plan, partition: Key, cells: Cells, number: int) -> None:
        """Tell the truth of a change."""
        table, now_s = plan.table, self.simulator.now_s
        if table.name == ROWS:
            is_there = cells.is_there()
            version = cells.get("lastupdated") if is_there else None
            genres = frozenset(cells.get("genres") or ()) if is_there else frozenset()
            self.truth.row_changed(partition[0], version, now_s, number, genres)
        elif table.name == LINES:
            self.truth.list_changed(partition[0], self.listed(partition[0]), now_s, number)

    def listed(self, genre: str) -> tuple[str, ...]:
        """The ids of a genre's list."""
        table = self.database.schema[LINES]
        return tuple(key[-1] for key, _ in self.database.rows(table, (genre,)))

    def genres(self) -> set[str]:
        """The names in the list of genres."""
        table = self.database.schema["genre"]
        rows = (self.database.rows(table, key) for key in self.database.tables["genre"])
        return {str(key[-1]) for found in rows for key, _ in found}

    def genres_of(self, video_id: str) -> list[str]:
        """The genres of a row; none if it is absent."""
        cells = self.database.tables[ROWS].get((video_id,), {}).get(())
        return list(cells.get("genres") or ()) if cells is not None and cells.is_there() else []
