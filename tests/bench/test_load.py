"""The load generator against small servers that are wrong in ways that flatter."""

import asyncio
import time
from collections.abc import Iterator
from itertools import repeat

import pytest

from bench.drills.world import reading
from bench.lab.processes import free_ports
from bench.load.loops import ClosedLoop, OpenLoop, offered, paced
from bench.load.result import Result
from bench.load.wire import Answer, Request
from tests.bench.small_servers import ID, PATH, always, answer, ask, row, serving

OTHER = "22222222-2222-4222-8222-222222222222"


async def test_a_server_that_refuses_at_once_has_no_goodput() -> None:
    refusal = answer(503, b'{"status":"failed"}', b"Retry-After: 1\r\n")
    async with serving(always(refusal)) as server:
        tally = (await ask(server, reading(ID))).tally(deadline_s=1.0)
    assert (tally.total, tally.good, tally.failed, tally.wrong) == (20, 0, 20, 0)
    assert tally.statuses == {503: 20}


async def test_a_server_that_stands_still_is_slow_for_all_who_come_meanwhile() -> None:
    still_s, rate_s = 0.5, 200
    async with serving(always(answer())) as server:
        began = time.monotonic()

        async def standing(_path: str, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(max(0.0, began + 2 * still_s - time.monotonic()))
            writer.write(answer())

        async def stop_for_a_while() -> None:
            await asyncio.sleep(still_s)
            server.serve = standing

        stopping = asyncio.create_task(stop_for_a_while())
        result = await ask(server, times=300, rate_s=rate_s, connections=4)
        await stopping
    slow = [line for line in result.lines() if line.latency_s > still_s / 5]
    # a loop that waits for its answers would have sent four
    assert len(slow) > still_s * rate_s / 2
    assert result.tally().percentile_s(99) > still_s * 0.8


@pytest.mark.parametrize(
    ("response", "wrong"),
    [
        (answer(200, row(ID)), 0),
        (answer(200, row(OTHER)), 20),
        (answer(200, row(ID)[:-1]), 20),
        (answer(200, b'{"status":"success","data":null}'), 20),
        (answer(200, b"[]"), 20),
        (answer(503, b'{"status":"failed"}', b"Retry-After: 1\r\n"), 0),
        (answer(503, b'{"status":"failed"}'), 20),
        (answer(500, b"Internal Server Error"), 20),
    ],
)
async def test_an_answer_has_to_be_right_for_the_row(response: bytes, wrong: int) -> None:
    async with serving(always(response)) as server:
        tally = (await ask(server, reading(ID))).tally()
    assert (tally.total, tally.wrong) == (20, wrong)
    assert tally.good == (20 if b" 200 " in response and not wrong else 0)


async def test_what_is_not_answered_is_given_up_and_was_slow() -> None:
    async def never(_path: str, _writer: asyncio.StreamWriter) -> None:
        return

    async with serving(never) as server:
        tally = (await ask(server, times=10, give_up_s=0.3)).tally()
    assert tally.errors == {"unanswered": 10}
    assert tally.percentile_s(50) > 0.29


async def test_a_generator_that_is_late_says_so() -> None:
    def dawdle(_answer: Answer) -> bool:
        time.sleep(0.03)
        return True

    async with serving(always(answer())) as server:
        tally = (await ask(server, Request("/x", expect=dawdle))).tally()
        swift = (await ask(server)).tally()
    assert tally.late > 5
    assert tally.worst_slip_s > 0.02
    assert "the generator was late" in str(tally)
    assert swift.worst_slip_s < tally.worst_slip_s


async def test_kinds_layers_and_times_are_counted_apart() -> None:
    async def serve(path: str, writer: asyncio.StreamWriter) -> None:
        status = b"content; fwd=miss; collapsed; detail=store" if "c" in path else b"x; detail=near"
        headers = b"Cache-Status: %b\r\nServer-Timing: total;dur=12.5\r\n" % status
        writer.write(answer(304 if "n" in path else 200, b"" if "n" in path else b"{}", headers))

    requests = [
        Request("/c", kind="click"),
        Request("/n", kind="hover"),
        Request("/x", kind="hover"),
    ]
    async with serving(serve) as server:
        schedule = ((number / 100, each) for number in range(5) for each in requests)
        result = await OpenLoop(server.host, server.port, schedule).run()
    click, hover = result.tally("click"), result.tally("hover")
    assert (click.total, click.details) == (5, {"collapsed": 5})
    assert (hover.total, hover.details) == (10, {"near": 10})
    assert hover.statuses == {304: 5, 200: 5}
    assert {round(line.served_s, 4) for line in result.lines()} == {0.0125}
    assert result.tally(deadline_s=0.0).good == 0
    assert result.goodput("hover", 5.0, width_s=60.0) == {0: 10}
    began = result.began_s
    assert result.tally(until_s=began).total == 0
    assert result.tally(since_s=began).total == 15


async def test_a_closed_loop_asks_when_it_was_answered() -> None:
    async def slowly(_path: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(answer())

    async with serving(slowly) as server:
        result = await ClosedLoop(server.host, server.port, repeat(PATH), 0.5, 4).run()
        assert server.most_open == 4
    assert 8 < len(result) <= 4 * 11
    async with serving(always(answer())) as server:
        few = await ClosedLoop(server.host, server.port, iter([PATH] * 7), 60.0, 4).run()
    assert few.tally().good == 7  # and it ends with them


def test_a_schedule_has_its_rate() -> None:
    def dues(poisson: bool) -> list[float]:
        schedule: Iterator[tuple[float, Request]] = paced(repeat(PATH), 100, 50, poisson=poisson)
        return [due_s for due_s, _ in schedule]

    assert len(dues(False)) in (4999, 5000)
    assert 4500 < len(dues(True)) < 5500  # seven standard deviations
    gaps = [after - before for before, after in zip(dues(True), dues(True)[1:], strict=False)]
    assert max(gaps) - min(gaps) > 0.01


async def test_a_block_is_under_load_until_it_ends() -> None:
    def block() -> tuple[Result, int]:
        with offered(server.host, server.port, paced(repeat(PATH), 200)) as result:
            time.sleep(0.5)
        seen = len(result)
        time.sleep(0.1)
        return result, seen

    async with serving(always(answer())) as server:
        result, seen = await asyncio.to_thread(block)
    assert 20 < seen == len(result)
    assert result.tally().good == seen


def test_nobody_there_is_told_on_the_loop_that_is_used_in_earnest() -> None:
    with offered("127.0.0.1", free_ports(1)[0], paced(repeat(PATH, 5), 100)) as result:
        time.sleep(0.3)
    assert result.tally().errors == {"refused": 5}


def test_what_breaks_in_the_load_breaks_the_block() -> None:
    def broken() -> Iterator[tuple[float, Request]]:
        raise RuntimeError("no such request")
        yield

    with pytest.raises(RuntimeError, match="no such"), offered("127.0.0.1", 1, broken()):
        time.sleep(0.05)
