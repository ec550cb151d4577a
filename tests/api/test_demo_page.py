"""The page to look at, in a browser: what a visitor does, and what the page makes of the answers.

Every test also holds that no script failed and that the policy had nothing to forbid.
"""

import orjson
import pytest

from bench.lab.targets import Service
from tests.api import chromium
from tests.api.demo_world import (
    AWAY,
    FIRST,
    FOCUSED,
    FOOTER,
    HOSTILE,
    NAME,
    NAMED,
    PLAYING,
    SECOND,
    SETTLED,
    TITLES,
    counted,
    rows_asked,
    screens_asked,
    text,
)

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")


def test_titles_in_view_are_asked_for_by_one_request_and_as_the_least_urgent(
    page: chromium.Page,
) -> None:
    [asked] = screens_asked(page)
    assert asked["priority"] == "u=6"
    assert rows_asked(page) == []
    path = next(path for path, _ in page.requests if path.startswith("/content?ids="))
    ids = path.removeprefix("/content?ids=").split(",")
    assert len(set(ids)) == len(ids) < TITLES
    page.evaluate("document.querySelector('.strip').scrollTo({left: 1e6})")
    page.until("'named' in document.querySelector('.cell:last-child .tile').dataset")
    assert 1 < len(screens_asked(page)) <= 3  # tiles may come into view in two steps


def test_title_in_view_is_asked_for_though_another_row_has_it_out_of_view(
    page: chromium.Page, service: Service
) -> None:
    page.open(f"http://127.0.0.1:{service.port}/demo?low", 1280, 290)
    page.until(NAMED)
    page.until(SETTLED)
    assert screens_asked(page)
    page.requests.clear()
    page.evaluate("scrollTo(0, 1e6)")
    page.evaluate("new Promise(done => setTimeout(done, 400))")
    assert screens_asked(page) == []  # the other row has the same titles


def test_title_deleted_meanwhile_is_said_to_be_gone(page: chromium.Page, service: Service) -> None:
    page.intercept("*/content?ids=*")
    page.answer = lambda path: (
        200,
        {"Cache-Status": "content; fwd=miss; detail=store"},
        orjson.dumps(
            {"status": "success", "data": dict.fromkeys(path.partition("=")[2].split(","))}
        ).decode(),
    )
    page.open(f"http://127.0.0.1:{service.port}/demo?gone")
    page.until(f"document.querySelector({FIRST!r})?.textContent === 'No longer there'")


def test_what_a_row_says_is_text(page: chromium.Page) -> None:
    assert page.evaluate(f"document.querySelector({FIRST!r}).textContent") == HOSTILE
    page.move_to(FIRST)
    page.until(f"({FOOTER}).includes('µs')")
    assert page.evaluate(NAME) == HOSTILE
    assert page.evaluate("document.querySelector('#card img') === null")


def test_hover_shows_the_card_and_which_layer_served_it(page: chromium.Page) -> None:
    before = counted(page, "near")
    page.move_to(SECOND)
    said = page.until(f"({FOOTER}).includes('µs') && ({FOOTER})")
    assert rows_asked(page)[-1]["priority"] == "u=5"
    assert "Served near in" in said
    assert "You waited" in said
    card = text(page, "card")
    for part in (f"Title {TITLES - 2}", "May 3, 2019", "1 h 34 min", "Drama", "Ada Vale", "About"):
        assert part in card
    assert counted(page, "near") == before + 1
    page.press("Escape")
    assert page.evaluate("document.getElementById('card').hidden")


def test_second_read_of_a_row_is_conditional(page: chromium.Page) -> None:
    page.move_to(SECOND)
    page.until(f"({FOOTER}).includes('µs')")
    page.press("Escape")
    page.move_to(FIRST)
    page.until(f"({FOOTER}).includes('µs')")
    page.move_to(SECOND)
    page.until(f"({FOOTER}).includes('not modified (304)')")
    assert "if-none-match" in rows_asked(page)[-1]


@pytest.mark.parametrize("height", [400, 560, 800])
def test_card_leaves_the_way_to_the_next_tile_open(
    page: chromium.Page, service: Service, height: int
) -> None:
    page.open(f"http://127.0.0.1:{service.port}/demo?{height}", 1280, height)
    page.until(NAMED)
    for tile in (FIRST, SECOND):
        page.move_to(tile)
        title = page.evaluate(f"document.querySelector({tile!r}).textContent")
        page.until(f"({FOOTER}).includes('µs') && ({NAME}) === {title!r}")


def test_panel_counts_each_answer_once(page: chromium.Page) -> None:
    page.move_to(SECOND)
    page.until(f"({FOOTER}).includes('µs')")
    page.click(FIRST)
    page.until("document.querySelector('#player-about .served') !== null")
    asked = len(rows_asked(page)) + len(screens_asked(page))
    assert text(page, "answers") == str(asked)
    layers = ("near", "redis", "store", "collapsed", "stale")
    assert sum(counted(page, layer) for layer in layers) == asked
    hits = counted(page, "near") + counted(page, "redis")
    assert text(page, "ratio") == f"{100 * hits / asked:.1f} %"
    assert "1 click, 1 hover" in text(page, "besides")


def test_click_plays_and_escape_gives_the_focus_back(page: chromium.Page) -> None:
    page.click(SECOND)
    page.until(PLAYING)
    page.until("document.querySelector('#player-about .served') !== null")
    assert rows_asked(page)[-1]["priority"] == "u=1"
    assert text(page, "player-title") == f"Title {TITLES - 2}"
    page.press("Escape")
    page.until(f"!{PLAYING}")
    assert page.evaluate(FOCUSED) == 1
    assert page.evaluate("document.getElementById('card').hidden")


def test_keys_move_among_tiles_and_rows_and_play(page: chromium.Page) -> None:
    for _ in range(5):  # past the four links above the rows
        page.press("Tab")
    assert page.evaluate(FOCUSED) == 0
    page.until(f"({FOOTER}).includes('µs')")  # focus is as good as a hover
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "End", "Home"):
        page.press(key)
        seen.append(page.evaluate(FOCUSED))
    assert seen == [1, 2, 1, TITLES + 1, 1, TITLES - 1, 0]
    assert page.evaluate("document.querySelectorAll('.tile[tabindex=\"0\"]').length") == 1
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    page.press("Enter")
    page.until(PLAYING)
    page.press("Escape")
    page.until(f"!{PLAYING}")
    assert page.evaluate(FOCUSED) == 0


def test_page_lives_on_while_the_service_is_away(page: chromium.Page, service: Service) -> None:
    service.kill()
    page.move_to(SECOND)
    page.until(AWAY)
    page.until(f"({FOOTER}).includes('does not answer')")
    assert f"Title {TITLES - 2}" in text(page, "card")  # from what the page knows
    page.evaluate("document.getElementById('again').click()")  # asks for rows, and gets none
    page.click("#away-retry")
    assert page.evaluate(AWAY)
    page.evaluate("window.isTheSame = true")
    service.start()
    page.until(f"!({AWAY})")
    page.until(SETTLED)
    assert page.evaluate("window.isTheSame && document.querySelectorAll('.tile').length > 0")
    page.move_to(FIRST)
    page.until(f"({FOOTER}).includes('µs')")


def test_play_waits_for_the_service_to_come_back(page: chromium.Page, service: Service) -> None:
    service.kill()
    page.click(SECOND)
    page.until("document.getElementById('player-state').textContent.includes('not answer')")
    assert page.evaluate("!document.getElementById('player-retry').hidden")
    service.start()
    page.until("document.querySelector('#player-about .served') !== null")


def test_a_hover_that_is_shed_is_told_calmly_and_tried_again(page: chromium.Page) -> None:
    page.intercept("*/content/*")
    refusal = '{"status":"failed","message":"Too much is asked at the moment; try again"}'
    page.answer = lambda path: (503, {"Retry-After": "1"}, refusal)
    page.move_to(SECOND)
    page.until(f"({FOOTER}).includes('Busy')")
    page.until("document.getElementById('besides').textContent.includes('1 refused')")
    assert not page.evaluate(AWAY)
    page.answer = lambda path: None
    page.until(f"({FOOTER}).includes('µs')")


@pytest.mark.parametrize(
    ("status", "layer", "said"),
    [
        ("content; hit; detail=redis", "redis", "Redis in 1,250 µs"),
        ("content; fwd=miss; detail=store", "store", "the store in 1,250 µs"),
        ("content; fwd=miss; collapsed; detail=store", "collapsed", "a read under way"),
        ("content; hit; ttl=-12; detail=redis", "stale", "Stale by 12 s, from redis"),
    ],
)
def test_each_layer_is_told_from_the_others(
    page: chromium.Page, status: str, layer: str, said: str
) -> None:
    before = counted(page, layer)
    page.intercept("*/content/*")
    headers = {"Cache-Status": status, "Server-Timing": "total;dur=1.250"}
    page.answer = lambda path: (304, headers, "")
    page.move_to(SECOND)
    page.until(f"({FOOTER}).includes({said!r})")
    page.until(f"document.querySelector('#card .served').dataset.layer === {layer!r}")
    assert counted(page, layer) == before + 1


def test_phone_shows_it_without_scrolling_sideways(page: chromium.Page, service: Service) -> None:
    page.open(f"http://127.0.0.1:{service.port}/demo?phone", 375, 720)
    page.until(NAMED)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.click(SECOND)
    page.until(PLAYING)
    assert page.evaluate("document.getElementById('player').scrollWidth <= 375")
