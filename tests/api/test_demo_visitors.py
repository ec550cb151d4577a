"""The visitors that the demo page sends, and the layers that it shows."""

import time

import orjson
import pytest

from bench.lab.targets import Service
from tests.api import chromium
from tests.api.demo_world import NAMED, counted, text

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")

BUTTON = "#visitors-toggle"
IS_STOPPED = "document.getElementById('visitors-toggle').textContent === 'Send visitors'"
TICKED = "document.getElementById('visitors-state').textContent.includes('in the last second')"
IN_FLIGHT = 4


def slide(page: chromium.Page, name: str, value: str) -> None:
    """Moves a slider as a visitor does."""
    page.evaluate(f"""(slider => {{
      slider.value = {value!r};
      for (const type of ["input", "change"]) slider.dispatchEvent(new Event(type));
    }})(document.getElementById("visitors-{name}"))""")


def wait(page: chromium.Page, seconds: float) -> None:
    """Lets the page run, and takes its events."""
    page.evaluate(f"new Promise(done => setTimeout(done, {seconds * 1000}))")


def asked(page: chromium.Page) -> list[str]:
    """The paths of requests that the model makes."""
    return [path for path, _ in page.requests if path == "/home" or path.startswith("/content")]


def test_visitors_ask_as_the_model_says_and_stop(page: chromium.Page) -> None:
    slide(page, "rate", "60")
    page.requests.clear()
    page.click(BUTTON)
    page.until(TICKED)
    wait(page, 4)
    page.click(BUTTON)
    assert page.evaluate(IS_STOPPED)
    paths = asked(page)
    urgencies = [headers.get("priority") for path, headers in page.requests if "/content" in path]
    assert 20 < len(paths) < 480  # a busy machine leaves requests out
    assert urgencies.count("u=5") > 5 * urgencies.count("u=1") > 0
    screens = [path for path in paths if path.startswith("/content?ids=")]
    assert paths.count("/home") > 0
    assert {"," in path for path in screens} == {True}
    wait(page, 0.3)
    page.requests.clear()
    wait(page, 1.5)
    assert asked(page) == []


def test_visitors_read_without_a_condition(page: chromium.Page) -> None:
    page.requests.clear()
    page.click(BUTTON)
    page.until(TICKED)
    page.click(BUTTON)
    assert not [headers for _, headers in page.requests if "if-none-match" in headers]


def test_hidden_page_sends_no_visitors(page: chromium.Page) -> None:
    page.click(BUTTON)
    page.until(TICKED)
    page.evaluate("""Object.defineProperty(document, "hidden", {value: true, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"))""")
    assert page.evaluate(IS_STOPPED)
    assert "hidden" in text(page, "visitors-state")
    wait(page, 0.3)
    page.requests.clear()
    wait(page, 1.5)
    assert asked(page) == []


def test_slow_service_piles_up_no_requests(page: chromium.Page, service: Service) -> None:
    slide(page, "rate", "200")
    page.click(BUTTON)
    page.until(TICKED)
    service.pause()
    try:
        wait(page, 0.3)
        page.requests.clear()
        page.until("document.getElementById('visitors-state').textContent.includes('left out')")
        wait(page, 2)
        assert len(asked(page)) <= IN_FLIGHT
        page.click(BUTTON)
    finally:
        service.resume()
    page.until("document.getElementById('away').hidden")


def test_fewer_titles_are_fewer_rows(page: chromium.Page) -> None:
    slide(page, "titles", "0")
    slide(page, "zipf", "0")
    assert text(page, "visitors-zipf-shown") == "0.0"
    page.requests.clear()
    page.click(BUTTON)
    page.until(TICKED)
    wait(page, 2)
    page.click(BUTTON)
    assert text(page, "visitors-titles-shown") == "10"
    rows = {path for path in asked(page) if path.startswith("/content/")}
    assert 5 < len(rows) <= 10


def test_share_of_each_layer_is_drawn_while_visitors_are_there(page: chromium.Page) -> None:
    assert page.evaluate("document.getElementById('chart-box').hidden")
    page.click(BUTTON)
    page.until("document.querySelectorAll('#chart rect[data-layer=near]').length > 1")
    page.click(BUTTON)
    assert counted(page, "near") > 0
    waited = "document.querySelector('#layers [data-layer=near] .time:last-child').textContent"
    assert page.evaluate(waited).split()[1] in ("µs", "ms")


def test_layer_that_is_off_or_down_says_so(page: chromium.Page, service: Service) -> None:
    shown = "document.querySelector('#layers [data-layer={}]').textContent"
    page.until(shown.format("redis") + ".includes('off')")
    assert "off" not in page.evaluate(shown.format("near"))
    page.intercept("*/readyz")
    states = {"state": "degraded", "store": "down", "redis": "up", "near": "off"}
    body = orjson.dumps({"status": "success", "data": {**states, "ttl_s": {"near": 1, "redis": 1}}})
    page.answer = lambda path: (200, {}, body.decode())
    page.open(f"http://127.0.0.1:{service.port}/demo?states")
    page.until(NAMED)
    page.until(shown.format("near") + ".includes('off')")
    assert "down" in page.evaluate(shown.format("store"))
    assert "off" not in page.evaluate(shown.format("redis"))


def test_service_that_goes_away_is_asked_by_no_visitor(
    page: chromium.Page, service: Service
) -> None:
    page.click(BUTTON)
    page.until(TICKED)
    service.kill()
    page.until("!document.getElementById('away').hidden")
    wait(page, 0.5)
    page.requests.clear()
    began = time.monotonic()
    wait(page, 1.5)
    assert asked(page) == []
    service.start()
    page.until("document.getElementById('away').hidden")
    page.until("[...document.querySelectorAll('#chart rect')].length > 0")
    page.click(BUTTON)
    assert time.monotonic() - began < chromium.BOUND_S
