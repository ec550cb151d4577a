"""Entries: what goes into Redis comes out the same, and what is no entry is told apart."""

import math
import time

import pytest

from cache.entry import ABSENT, DATA, Entry, inner, together
from cache.store import entry_of
from middleware.onion import NOT_FOUND

BODIES = [b"{}", b"", b"\n", b"a\nb 1\n\n", b'12 "x"\ny', bytes(range(256)), "Ä🎬".encode() * 999]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:9]))
@pytest.mark.parametrize("tag", [b'"v.1"', b'"with a blank"', b'"\xc3\x84"'])
def test_an_entry_that_was_packed_is_the_same(body: bytes, tag: bytes) -> None:
    found = Entry.unpack(Entry(body, tag, 1_700_000_000.9, 3_421.5).pack())
    assert (found.body, found.etag, found.status) == (body, tag, 200)
    assert (found.filled_at, found.ttl_s) == (1_700_000_000.9, 3_421.5)
    assert Entry.unpack(Entry(body, tag, 0.0).pack()).ttl_s is None


def test_an_absent_row_is_small_in_redis_and_the_envelope_outside() -> None:
    before = time.time()
    absent = Entry.absent()
    assert before <= absent.filled_at <= time.time()
    packed = absent.pack()
    assert len(packed) < 20
    found = Entry.unpack(packed)
    assert (found.status, found.body, found.etag) == (404, ABSENT, b"")
    assert ABSENT == NOT_FOUND  # a hit and a miss are the same bytes
    assert abs(found.filled_at - absent.filled_at) <= 0.001


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\n",
        b"12",
        b"12\nbody",
        b"x y\nbody",
        b' "tag"\nbody',
        b"1.5 0 x\n",
        b'12 "tag"\n',
        b"{}",
    ],
)
def test_what_is_no_entry_is_not_taken_for_one(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"not enough values|invalid literal"):
        Entry.unpack(packed)


def test_an_entry_is_fresh_until_its_ttl_is_over() -> None:
    now = time.time()
    assert Entry(b"", b"", 0.0).is_fresh()
    assert Entry(b"", b"", now - 4.0, 5.0).is_fresh()
    assert not Entry(b"", b"", now - 5.1, 5.0).is_fresh()
    left = [Entry(b"", b"", now - age_s, 5.0).left_s(now) for age_s in (0.0, 2.0, 7.0, -60.0)]
    assert left == [5.0, 3.0, -2.0, 5.0]  # a clock that is ahead prolongs nothing
    assert Entry(b"", b"", 0.0).left_s(now) == math.inf


@pytest.mark.parametrize("value", [{"a": [1, True, None]}, {}, {"x": "}"}, {"Ä": ["🎬"]}])
def test_inside_the_envelope_of_an_entry_is_its_data(value: object) -> None:
    entry = entry_of(value)
    assert entry.body == DATA + inner(entry) + b"}"
    assert inner(entry) == entry_of(value).body[len(DATA) : -1]
    assert inner(Entry.absent()) == b""


def test_a_tag_is_of_the_bytes_and_of_nothing_else() -> None:
    assert entry_of({"a": 1}).etag == entry_of({"a": 1}).etag
    assert entry_of({"a": 1}).etag != entry_of({"a": 2}).etag
    # fixed, so the same on every replica and after every restart
    assert entry_of({"a": 1}).etag == b'"5075f102e890a9f7ab44d138"'
    assert entry_of({"a": 1}, b'"mine"').etag == b'"mine"'


def test_several_rows_are_as_old_as_the_oldest() -> None:
    young, old, absent = entry_of({"id": "a"}), Entry(DATA + b"2}", b'"t"', 7.0), Entry.absent()
    for rows in ([young, old, absent], [old, absent, young]):
        assert together("abc", rows).filled_at == 7.0


def test_an_entry_of_the_future_is_not_fresh() -> None:
    """Its replica filled it while its clock was being set: nobody knows its age."""
    now = time.time()
    fresh = [Entry(b"", b'"t"', now + ahead_s, 5.0).is_fresh() for ahead_s in (-6.0, -4.0, 0.5)]
    assert fresh == [False, True, True]
    assert not Entry(b"", b'"t"', now + 3_600.0, 5.0).is_fresh()
