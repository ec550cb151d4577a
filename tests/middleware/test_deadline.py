"""Deadline: waiting ends in time, counted from the arrival, and what was begun goes on."""

import asyncio
from typing import Any

import pytest

from errors import Late, OutcomeUnknown
from middleware.admission import ARRIVED, deadline
from middleware.error_handling import error_handling
from middleware.onion import Context, Handler
from tests.middleware.asgi import Sent, fine, onion, receiver, scope_of

SOON_S, NEVER_S = 0.05, 60.0


async def hang(ctx: Context) -> None:
    await asyncio.sleep(NEVER_S)


async def ask(
    handler: Handler,
    method: str = "GET",
    *,
    age_s: float = 0.0,
    receive: Any = None,
    read_s: float = NEVER_S,
    write_s: float = NEVER_S,
) -> Sent:
    app = onion(handler, error_handling(), deadline(read_s, write_s))
    scope = scope_of(method) | {ARRIVED: asyncio.get_running_loop().time() - age_s}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive or receiver([b""]), send), 5)
    return Sent(sent[0]["status"], {}, sent[1]["body"])


async def test_a_read_that_hangs_is_a_504_at_its_deadline() -> None:
    sent = await ask(hang, read_s=SOON_S)
    assert (sent.status, sent.json()["message"]) == (504, Late.message)


async def test_a_write_that_hangs_is_a_504_whose_outcome_is_unknown() -> None:
    for method in ("PATCH", "POST"):

        async def read_and_hang(ctx: Context) -> None:
            await ctx.read(1_000)
            await hang(ctx)

        sent = await ask(read_and_hang, method, write_s=SOON_S)
        assert (sent.status, sent.json()["message"]) == (504, OutcomeUnknown.message)
    assert (await ask(hang, "DELETE", write_s=SOON_S)).status == 504


async def test_each_kind_has_a_deadline_of_its_own() -> None:
    async def slow(ctx: Context) -> None:
        await asyncio.sleep(2 * SOON_S)
        ctx.answer("fine")

    assert (await ask(slow, "GET", write_s=SOON_S)).status == 200
    assert (await ask(slow, "DELETE", read_s=SOON_S)).status == 200


async def test_time_in_a_queue_counts() -> None:
    async def quick(ctx: Context) -> None:
        await asyncio.sleep(0.2)
        ctx.answer("fine")

    assert (await ask(quick, read_s=10.0, age_s=0.0)).status == 200
    assert (await ask(quick, read_s=10.0, age_s=9.9)).status == 504


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_is_too_late_on_arrival_is_not_begun(method: str) -> None:
    begun: list[str] = []

    async def handler(ctx: Context) -> None:
        begun.append(ctx.method)
        await fine(ctx)

    assert (await ask(handler, method, read_s=1.0, write_s=1.0, age_s=1.1)).status == 504
    assert begun == []


async def test_a_body_takes_its_time_to_arrive_and_the_clock_starts_when_it_is_there() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.read(1_000)
        await asyncio.sleep(SOON_S / 5)
        ctx.answer("fine")

    async def slowly() -> dict[str, Any]:
        await asyncio.sleep(3 * SOON_S)
        return {"type": "http.request", "body": b"{}"}

    assert (await ask(handler, "POST", write_s=SOON_S, receive=slowly)).status == 200


async def test_a_timeout_of_something_else_is_no_deadline() -> None:
    async def handler(ctx: Context) -> None:
        raise TimeoutError("from elsewhere")

    assert (await ask(handler)).status == 500


async def test_what_others_share_goes_on() -> None:
    ended = asyncio.Event()

    async def shared() -> None:
        await asyncio.sleep(3 * SOON_S)
        ended.set()

    task = asyncio.create_task(shared())

    async def handler(ctx: Context) -> None:
        await asyncio.shield(task)

    assert (await ask(handler, read_s=SOON_S)).status == 504
    await asyncio.wait_for(ended.wait(), 5)
