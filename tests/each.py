"""Many cases of one claim in one test: as `pytest.mark.parametrize`, without a test for each.

A test has a price, and each worker collects all tests; hundreds of requests to one service need
neither. Cases share the fixtures of their test, so a case must not rely on what it finds there.
Each case that fails is reported by itself, with its values, and the others are tried all the same.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]
Case = dict[str, Any]


def each(names: str | tuple[str, ...], values: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test with each of the values under these names; several lists are multiplied."""
    words = names.split(",") if isinstance(names, str) else names
    told = tuple(word.strip() for word in words)
    cases = [
        dict(zip(told, (value,) if len(told) == 1 else value, strict=True)) for value in values
    ]

    def decorate(test: Test) -> Test:
        inner: list[Case] = getattr(test, "cases", [{}])
        plain: Test = getattr(test, "__wrapped__", test)
        return _loop(plain, [{**outer, **case} for outer in cases for case in inner])

    return decorate


def _loop(test: Test, cases: list[Case]) -> Test:
    assert cases

    @functools.wraps(test)
    def loop(subtests: pytest.Subtests, **fixtures: Any) -> None:
        for case in cases:
            try:
                test(**fixtures, **case)
            except Exception:
                with subtests.test(**case):
                    raise

    wanted = inspect.signature(test)
    asked = [each for name, each in wanted.parameters.items() if name not in cases[0]]
    fixture = inspect.Parameter("subtests", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    loop.__signature__ = wanted.replace(parameters=[fixture, *asked])  # type: ignore[attr-defined]
    loop.cases = cases  # type: ignore[attr-defined]
    return loop
