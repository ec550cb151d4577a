"""Which conditions name a tag, by weak and by strong comparison, and what a long one costs."""

import re

import pytest

from etags import names
from tests.each import each

LISTS = [
    *("*", " * ", '"a"', '"b", "a"', '"a","b"', '"", "a"', '"b",\t"a"', '"a,b", "a"'),
    *('"W/", "a"', ', ,"a"', '"a", "b', '"a"', '"b\'","a"', '"a";x, "b"'),
]
OTHERS = [
    *("", "a", '"b"', '"A"', 'W/"b"', '"aa"', '"a', 'a"', '"*"', "**", '"b,a"', '",", "b"'),
    *('"b", *', '"b"a"', '"b" , "', ",", '"" a ""'),
]
WEAK = ['W/"a"', '"a,b", W/"a"', '"W/", W/"a"']


@each("weak", [True, False])
@each("condition", LISTS)
def test_a_list_names_its_tags(condition: str, weak: bool) -> None:
    assert names(condition, '"a"', weak=weak)


@each("weak", [True, False])
@each("condition", OTHERS)
def test_a_list_names_no_other_tag(condition: str, weak: bool) -> None:
    assert not names(condition, '"a"', weak=weak)


@pytest.mark.parametrize("condition", WEAK)
def test_a_weak_tag_is_named_by_weak_comparison_alone(condition: str) -> None:
    assert names(condition, '"a"', weak=True)
    assert not names(condition, '"a"', weak=False)
    assert names(condition + ', "a"', '"a"', weak=False)


def test_a_beginning_names_every_tag_whose_rest_matches() -> None:
    number = re.compile(r'[0-9]+"')
    for condition in ('"v.1"', '"x", "v.17"'):
        assert names(condition, '"v.', weak=True, end=number)
    for condition in ('"v."', '"v.x"', '"v.1'):
        assert not names(condition, '"v.', weak=True, end=number)


@pytest.mark.parametrize("piece", ['"",', '"v.1"', '"v.1",', "v.1", '"', "*,", 'W/"v.1"', '"v.'])
def test_the_cost_grows_with_the_length_alone(piece: str) -> None:
    class Counted(str):
        """Counts the characters that are looked at."""

        seen = 0

        def count(self, sub: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
            end = len(self) if end is None else end
            Counted.seen += end - start
            return super().count(sub, start, end)

    condition = Counted(piece * (16_000 // len(piece)))
    names(condition, '"v.1"', weak=False)
    assert Counted.seen <= len(condition)
