"""The page of the contract in a browser: its colour schemes, and a request that it sends."""

from collections.abc import Iterator

import pytest

from tests.api import chromium

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")

OPERATION = "document.querySelector('#operations-Content-getVideoIds')"
STATUS = ".live-responses-table .response .response-col_status"
BRIGHTNESS = """(() => {
  const found = getComputedStyle(document.querySelector('.swagger-ui .info .title')).color;
  return found.match(/[0-9]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
})()"""
"""That of the title's text, from 0, black, to 255, white."""


@pytest.fixture
def page(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    with chromium.page(tmp_path_factory.mktemp("browser")) as page:
        page.open(f"{url}/docs")
        page.until(f"{OPERATION} !== null")
        yield page
        assert page.faults == []


def prefer(page: chromium.Page, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.call("Emulation.setEmulatedMedia", features=[feature])


def test_page_follows_the_colour_scheme_and_sends_the_example(page: chromium.Page) -> None:
    prefer(page, "dark")
    page.until(f"{BRIGHTNESS} > 150")
    prefer(page, "light")
    page.until(f"{BRIGHTNESS} < 100")
    for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
        page.until(f"(found => found && !found.click())({OPERATION}.querySelector('{button}'))")
    assert page.until(f"{OPERATION}.querySelector('{STATUS}')?.textContent") == "200"
    assert "/uuids?limit=10" in [path for path, _ in page.requests]
