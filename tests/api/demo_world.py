"""The demo page in a browser: names of its parts, and readers of what it shows."""

from tests.api import chromium

TITLES = 24
HOSTILE = "<img src=x onerror=alert(1)>"
FIRST = ".row:nth-child(1) .cell:nth-child(1) .tile"
SECOND = ".row:nth-child(1) .cell:nth-child(2) .tile"
FOOTER = "document.querySelector('#card:not([hidden]) .served')?.textContent ?? ''"
NAME = "document.querySelector('#card .name').textContent"
PLAYING = "document.getElementById('player').open"
NAMED = f"document.querySelector({FIRST!r})?.dataset.named === ''"
FOCUSED = "[...document.querySelectorAll('.tile')].indexOf(document.activeElement)"
AWAY = "!document.getElementById('away').hidden"
SETTLED = """[...document.querySelectorAll('.tile')].every(tile => {
  const at = tile.getBoundingClientRect();
  const edge = document.querySelector('main').getBoundingClientRect().right;
  const [right, bottom] = [Math.min(at.right, edge), Math.min(at.bottom, innerHeight)];
  const seen = Math.max(0, right - Math.max(at.left, 0)) * Math.max(0, bottom - at.top);
  return seen < 0.26 * at.width * at.height || 'named' in tile.dataset; })"""
"""Whether every tile in view has its title; the page asks from a quarter of a tile on."""


def drawn(page: chromium.Page) -> None:
    """Waits until the panel shows what was counted."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def rows_asked(page: chromium.Page) -> list[dict[str, str]]:
    """The headers of each request for a row."""
    return [headers for path, headers in page.requests if path.startswith("/content/")]


def screens_asked(page: chromium.Page) -> list[dict[str, str]]:
    """The headers of each request for the rows of many titles."""
    return [headers for path, headers in page.requests if path.startswith("/content?ids=")]


def text(page: chromium.Page, name: str) -> str:
    drawn(page)
    return str(page.evaluate(f"document.getElementById({name!r}).textContent"))


def counted(page: chromium.Page, layer: str) -> int:
    drawn(page)
    cell = f"document.querySelector('#layers [data-layer={layer}] .share')"
    return int(page.evaluate(f"{cell}.title").split()[0])
