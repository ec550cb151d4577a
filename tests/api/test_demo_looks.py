"""The demo page at every width and in both colour schemes: nothing is cut off or faint."""

from collections.abc import Iterator

import pytest

from bench.lab.targets import Service
from tests.api import chromium
from tests.api.demo_world import NAMED, SETTLED

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")

WIDTHS = (320, 375, 768, 1079, 1080, 1440)
CONTRAST = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] > 200) return colour;
    }
    return rgba(getComputedStyle(document.body).backgroundColor);
  };
  const found = [];
  for (const element of document.querySelectorAll("body :is(*):not(.tile *, .stage *)")) {
    const words = [...element.childNodes].filter(each => each.nodeType === 3 && each.data.trim());
    const isLeftOut = element.matches(":disabled, script, .arrow");
    if (!words.length || !element.checkVisibility() || isLeftOut) continue;
    const [one, other] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) found.push([element.textContent.trim().slice(0, 40), contrast.toFixed(2)]);
  }
  return found;
})()"""
"""Texts whose contrast with the colour behind them is below WCAG's 4.5. Those on pictures are left
out, and controls that are disabled, as WCAG leaves them out."""
CUT = """[...document.querySelectorAll("#panel :is(th, td, label, button, h2, p, .axis span)")]
  .filter(each => each.checkVisibility() && getComputedStyle(each).overflow === "visible")
  .filter(each => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
  .map(each => each.textContent)"""


@pytest.fixture
def dressed(page: chromium.Page) -> Iterator[chromium.Page]:
    """The page after a change, with everything to see that it can show."""
    page.click("#visitors-toggle")
    page.until("document.querySelectorAll('#chart rect').length > 0")
    page.click("#visitors-toggle")
    page.click("#change-save")
    page.until("!document.getElementById('timeline-box').hidden")
    page.click("#change-undo")
    page.until("!document.getElementById('change-undo').disabled")
    yield page
    page.prefer()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(dressed: chromium.Page, scheme: str) -> None:
    dressed.prefer(prefers_color_scheme=scheme)
    assert dressed.evaluate("document.querySelectorAll('#timeline li').length") > 1
    assert dressed.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off(page: chromium.Page, service: Service, width: int) -> None:
    page.open(f"{service.url}/demo?{width}", width, 800)
    page.until(NAMED)
    page.until(SETTLED)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelector('.lead a').click()")
    assert page.evaluate("document.getElementById('visitors').checkVisibility()")
    page.click("#visitors-toggle")
    page.until("document.querySelectorAll('#chart rect').length > 0")
    page.click("#visitors-toggle")
    page.evaluate("document.getElementById('change-box').scrollIntoView()")
    page.click("#change-save")
    page.until("!document.getElementById('timeline-box').hidden")
    page.evaluate("document.getElementById('change-undo').click()")
    page.until("!document.getElementById('change-undo').disabled")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CUT) == []
    for part in (".dock", ".sheet", ".axis", ".legend"):
        wide = f"(it => it.scrollWidth - it.clientWidth)(document.querySelector({part!r}))"
        assert page.evaluate(wide) <= 0, part


def test_panel_of_a_narrow_page_opens_and_closes_by_keyboard(
    page: chromium.Page, service: Service
) -> None:
    page.open(f"{service.url}/demo?narrow", 375, 800)
    page.until(NAMED)
    toggle = "document.getElementById('panel-toggle')"
    shown = "document.getElementById('visitors').checkVisibility()"
    assert not page.evaluate(shown)
    page.evaluate(f"{toggle}.focus()")
    page.press("Enter")
    assert page.evaluate(shown)
    assert page.evaluate(f"{toggle}.getAttribute('aria-expanded')") == "true"
    page.press("Tab")
    page.press("Escape")
    assert not page.evaluate(shown)
    assert page.evaluate(f"document.activeElement === {toggle}")


def test_nothing_moves_for_those_who_prefer_that(page: chromium.Page) -> None:
    moving = """[...document.querySelectorAll("*")].filter(each => {
      const {transitionDuration, animationName} = getComputedStyle(each);
      return /[1-9]/.test(transitionDuration) || animationName !== "none"; }).length"""
    assert page.evaluate(moving) > 0
    page.prefer(prefers_reduced_motion="reduce")
    assert page.evaluate(moving) == 0
    page.prefer()
