"""What koa-compose promises of a stack, promised of ours."""

import asyncio
from typing import Any

import pytest

from middleware.onion import Context, Handler, Middleware, Next, compose
from tests.middleware.asgi import context


def noting(notes: list[Any], name: Any) -> Middleware:
    async def middleware(ctx: Context, inner: Next) -> None:
        notes.append(name)
        await asyncio.sleep(0)
        await inner()
        await asyncio.sleep(0)
        notes.append(name)

    return middleware


def ending(notes: list[Any]) -> Handler:
    async def last(ctx: Context) -> None:
        notes.append("last")

    return last


async def test_the_first_is_outermost_and_all_are_around_the_last() -> None:
    notes: list[Any] = []
    run = compose([noting(notes, number) for number in (1, 2, 3)], ending(notes))
    await run(context())
    assert notes == [1, 2, 3, "last", 3, 2, 1]


async def test_an_empty_stack_is_its_last() -> None:
    notes: list[Any] = []
    await compose([], ending(notes))(context())
    assert notes == ["last"]


async def test_the_folded_stack_can_be_used_again_and_again() -> None:
    notes: list[Any] = []
    run = compose([noting(notes, 1)], ending(notes))
    for _ in range(3):
        await run(context())
    assert notes == [1, "last", 1] * 3


async def test_who_does_not_call_next_ends_the_way_in() -> None:
    notes: list[Any] = []

    async def stops(ctx: Context, inner: Next) -> None:
        notes.append("stops")

    await compose([noting(notes, 1), stops, noting(notes, 2)], ending(notes))(context())
    assert notes == [1, "stops", 1]


async def test_the_same_context_goes_all_the_way_down() -> None:
    seen: list[Context] = []

    async def look(ctx: Context, inner: Next) -> None:
        seen.append(ctx)
        await inner()
        seen.append(ctx)

    async def last(ctx: Context) -> None:
        seen.append(ctx)

    ctx = context()
    await compose([look, look, look], last)(ctx)
    assert [each is ctx for each in seen] == [True] * 7


async def test_next_returns_nothing() -> None:
    async def look(ctx: Context, inner: Next) -> None:
        found: Any = inner()
        assert await found is None

    await compose([look, look], ending([]))(context())


async def test_each_middleware_may_call_its_own_next() -> None:
    notes: list[Any] = []
    same = noting(notes, "same")
    await compose([same, same, same], ending(notes))(context())
    assert notes == ["same"] * 3 + ["last"] + ["same"] * 3


async def asynchronous(ctx: Context, inner: Next) -> None:
    await asyncio.sleep(0)
    raise LookupError("thrown")


def synchronous(ctx: Context, inner: Next) -> Any:
    raise LookupError("thrown")


@pytest.mark.parametrize("throws", [asynchronous, synchronous])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_failure_comes_out_of_the_stack(throws: Middleware, place: int) -> None:
    notes: list[Any] = []
    stack = [noting(notes, number) for number in range(place)]
    with pytest.raises(LookupError, match="thrown"):
        await compose([*stack, throws, noting(notes, "never")], ending(notes))(context())
    assert notes == list(range(place))


@pytest.mark.parametrize("throws", [asynchronous, synchronous])
async def test_a_failure_can_be_caught_around_next(throws: Middleware) -> None:
    notes: list[Any] = []

    async def catches(ctx: Context, inner: Next) -> None:
        try:
            await inner()
        except LookupError as error:
            notes.append(str(error))

    await compose([noting(notes, 1), catches, noting(notes, 2), throws], ending(notes))(context())
    assert notes == [1, 2, "thrown", 1]


async def test_a_stack_can_be_part_of_a_stack() -> None:
    notes: list[Any] = []

    def part(stack: list[Middleware]) -> Middleware:
        async def part(ctx: Context, inner: Next) -> None:
            await compose(stack, lambda _: inner())(ctx)

        return part

    inner = part([noting(notes, 2), part([]), part([noting(notes, 3)])])
    await compose([noting(notes, 1), inner, noting(notes, 4)], ending(notes))(context())
    assert notes == [1, 2, 3, 4, "last", 4, 3, 2, 1]


@pytest.mark.parametrize("wrong", [None, 5, noting([], 1)])
def test_what_is_no_stack_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        compose(wrong, ending([]))


async def test_a_list_that_is_changed_afterwards_is_not_seen() -> None:
    notes: list[Any] = []
    stack = [noting(notes, 1), noting(notes, 2)]
    run = compose(stack, ending(notes))
    stack.append(noting(notes, 3))
    stack[0] = noting(notes, 4)
    await run(context())
    assert notes == [1, 2, "last", 2, 1]


async def test_what_is_no_coroutine_function_may_be_a_middleware() -> None:
    notes: list[Any] = []

    class Counter:
        def __call__(self, ctx: Context, inner: Next) -> Any:
            notes.append("called")
            return inner()

    await compose([Counter(), lambda ctx, inner: inner()], ending(notes))(context())
    assert notes == ["called", "last"]


async def test_what_next_returns_can_be_awaited_later() -> None:
    notes: list[Any] = []

    async def starts(ctx: Context, inner: Next) -> None:
        rest = asyncio.ensure_future(inner())
        notes.append("meanwhile")
        await asyncio.sleep(0)
        notes.append("still")
        await rest
        notes.append("after")

    await compose([starts, noting(notes, 1)], ending(notes))(context())
    assert notes == ["meanwhile", 1, "still", "last", 1, "after"]


async def test_requests_at_once_share_nothing() -> None:
    entered = asyncio.Barrier(10)

    async def waits(ctx: Context, inner: Next) -> None:
        await entered.wait()
        await inner()

    async def last(ctx: Context) -> None:
        await entered.wait()
        ctx.body += ctx.method.encode()

    run = compose([waits, waits], last)
    contexts = [context(f"M{number}") for number in range(10)]
    await asyncio.gather(*map(run, contexts))
    assert [ctx.body[-2:].decode() for ctx in contexts] == [f"M{number}" for number in range(10)]


async def test_one_that_is_cancelled_cancels_no_other() -> None:
    notes: list[Any] = []
    run = compose([noting(notes, 1)], ending(notes))
    cancelled = asyncio.ensure_future(run(context()))
    other = asyncio.ensure_future(run(context()))
    await asyncio.sleep(0)
    cancelled.cancel()
    await other
    assert cancelled.cancelled() or cancelled.cancelling()
    assert notes == [1, 1, "last", 1]


async def test_a_hundred_layers_are_no_problem() -> None:
    notes: list[Any] = []
    await compose([noting(notes, number) for number in range(100)], ending(notes))(context())
    assert notes == [*range(100), "last", *reversed(range(100))]
