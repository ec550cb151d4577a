"""Priority: what counts as a hover, and that everything else is a click."""

import pytest

from priority import PRIORITY_MAX, is_hover


@pytest.mark.parametrize("said", ["u=4", "u=5", "u=7", "i, u=5", "u=5, i", "u=1,u=6", " u=5 ;x=1"])
def test_a_low_urgency_is_a_hover(said: str) -> None:
    assert is_hover([(b"priority", said.encode())])


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "i",
        "u=0",
        "u=1",
        "u=3",
        "u=8",
        "u=55",
        "u=-5",
        "u",
        "xu=5",
        "u=5x",
        "U=5",
        "u=6, u=2",
    ],
)
def test_anything_else_is_a_click(said: str | None) -> None:
    assert not is_hover([] if said is None else [(b"priority", said.encode())])


def test_a_prefetch_is_a_hover_whatever_its_urgency() -> None:
    assert is_hover([(b"priority", b"u=1"), (b"sec-purpose", b"prefetch")])
    assert is_hover([(b"sec-purpose", b"Prefetch;prerender")])
    assert not is_hover([(b"sec-purpose", b"something-else")])
    assert not is_hover([(b"sec-purpose", b"")])


def test_the_last_of_several_fields_counts() -> None:
    assert is_hover([(b"priority", b"u=1"), (b"priority", b"u=5")])
    assert not is_hover([(b"priority", b"u=5"), (b"priority", b"u=1")])


def test_a_long_priority_is_not_read() -> None:
    assert not is_hover([(b"priority", b"u=5" + b" " * PRIORITY_MAX)])
