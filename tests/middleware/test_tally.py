"""Tallies: rows add up over files, outlive who wrote them, and never run out."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware.tally import LABEL_BYTES, OTHER, RECORDS, SharedTally, Tally

WIDTH = 3


@pytest.fixture(params=["memory", "file"])
def tally(request: pytest.FixtureRequest, tmp_path: Path) -> Tally | SharedTally:
    is_file = request.param == "file"
    return SharedTally(tmp_path / "0.tally", WIDTH) if is_file else Tally(WIDTH)


def counted(tally: Tally | SharedTally) -> dict[tuple[str, ...], list[float]]:
    return {labels: list(row) for labels, row in tally.rows()}


def test_a_row_begins_with_zeros_and_is_the_same_row_ever_after(tally: Tally | SharedTally) -> None:
    labels = ("/content/genre/{genre:path}", "GET", "ok", "")
    assert list(tally.row(labels)) == [0.0] * WIDTH
    tally.row(labels)[0] += 2.0
    tally.row(labels)[-1] += 0.1
    tally.row(("é", "", "", ""))[1] += 1.0
    assert counted(tally) == {labels: [2.0, 0.0, 0.1], ("é", "", "", ""): [0.0, 1.0, 0.0]}


def test_files_of_several_add_up_whoever_is_asked(tmp_path: Path) -> None:
    team = [SharedTally(tmp_path / f"{number}.tally", WIDTH) for number in range(3)]
    for number, tally in enumerate(team):
        tally.row(("all",))[0] += number + 1.0
        tally.row((str(number),))[1] += 1.0
        # what was counted a moment ago is in every sum
        assert {counted(each)["all",][0] for each in team} == {sum(range(number + 2))}
    expected = {("all",): [6.0, 0.0, 0.0], **{(str(each),): [0.0, 1.0, 0.0] for each in range(3)}}
    assert [counted(tally) for tally in team] == [expected] * 3


def test_heirs_without_end_do_not_fill_a_file(tmp_path: Path) -> None:
    for _ in range(RECORDS + 1):
        heir = SharedTally(tmp_path / "0.tally", WIDTH)
        heir.row(("a",))[0] += 1.0
    assert counted(heir) == {("a",): [RECORDS + 1.0, 0.0, 0.0]}


def test_an_heir_counts_on(tmp_path: Path) -> None:
    SharedTally(tmp_path / "0.tally", WIDTH).row(("a", "b"))[0] += 5.0
    heir = SharedTally(tmp_path / "0.tally", WIDTH)
    heir.row(("a", "b"))[0] += 1.0
    heir.row(("c",))[0] += 1.0
    assert counted(heir) == {("a", "b"): [6.0, 0.0, 0.0], ("c",): [1.0, 0.0, 0.0]}


def test_what_finds_no_room_counts_as_other(tmp_path: Path) -> None:
    tally = SharedTally(tmp_path / "0.tally", WIDTH)
    for number in range(2 * RECORDS):
        tally.row((str(number), "x"))[0] += 1.0
    found = counted(tally)
    assert len(found) == RECORDS
    assert found["0", "x"] == [1.0, 0.0, 0.0]
    assert found[OTHER, OTHER] == [RECORDS + 1.0, 0.0, 0.0]
    assert counted(SharedTally(tmp_path / "0.tally", WIDTH)) == found


def test_labels_that_are_too_long_count_as_other(tmp_path: Path) -> None:
    tally = SharedTally(tmp_path / "0.tally", WIDTH)
    fits = "x" * LABEL_BYTES
    for label in (fits, fits + "x", fits + "y"):
        tally.row((label,))[0] += 1.0
    assert counted(tally) == {(fits,): [1.0, 0.0, 0.0], (OTHER,): [2.0, 0.0, 0.0]}


def test_a_file_that_is_just_being_made_counts_nothing(tmp_path: Path) -> None:
    tally = SharedTally(tmp_path / "0.tally", WIDTH)
    tally.row(("a",))[0] += 1.0
    (tmp_path / "1.tally").touch()
    (tmp_path / "2.seat").write_bytes(b"not a tally")
    assert counted(tally) == {("a",): [1.0, 0.0, 0.0]}
