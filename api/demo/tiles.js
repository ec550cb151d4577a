// Rows of tiles as a grid, which is one tab stop. Arrow keys move among tiles and rows.
import { paint } from "./art.js";
import { byId, make, scrolling } from "./dom.js";

const grid = byId("home");
const byTitle = new Map(); // id -> its tiles; one title may be in several rows

export const tilesOf = (id) => byTitle.get(id) ?? [];
export const allTiles = () => grid.querySelectorAll(".tile");
export const tileAt = (target) => target.closest?.(".tile") ?? null;

export function showRows(lines) {
  byTitle.clear();
  grid.replaceChildren(...lines.map(({ genre, ids }, index) => row(genre, ids, index)));
  grid.querySelector(".tile")?.setAttribute("tabindex", "0");
  grid.setAttribute("aria-busy", "false");
}

// Show rows without titles until the rows of the home page arrive.
export function showPlaceholders(count) {
  const line = () =>
    make("div", { className: "row waiting", aria: { hidden: "true" } }, make("div", { className: "blank" }));
  grid.replaceChildren(...Array.from({ length: count }, line));
  grid.setAttribute("aria-busy", "true");
}

function row(genre, ids, index) {
  const label = `genre-${index}`;
  const strip = make("div", { className: "strip", role: "presentation" }, ...ids.map(tile));
  return make(
    "div",
    { className: "row", role: "row", aria: { labelledby: label } },
    make(
      "div",
      { className: "head", role: "presentation" },
      make("span", { className: "genre", id: label, role: "rowheader", textContent: genre }),
      arrow(strip, -1, "‹"),
      arrow(strip, 1, "›"),
    ),
    strip,
  );
}

// Make a button for pointers. The keyboard has the arrow keys.
function arrow(strip, direction, sign) {
  const button = make("button", { type: "button", className: "arrow", textContent: sign, tabIndex: -1 });
  button.setAttribute("aria-hidden", "true");
  button.addEventListener("click", () =>
    strip.scrollBy({ left: direction * strip.clientWidth * 0.85, behavior: scrolling() }),
  );
  return button;
}

function tile(id) {
  const button = make(
    "button",
    { type: "button", className: "tile", tabIndex: -1, data: { id } },
    make("span", { className: "title", textContent: "Untitled so far" }),
  );
  paint(button, id);
  byTitle.set(id, [...tilesOf(id), button]);
  return make("div", { className: "cell", role: "gridcell" }, button);
}

export function nameTiles(id, title) {
  for (const each of tilesOf(id)) {
    each.firstChild.textContent = title;
    each.dataset.named = "";
  }
  grid.dispatchEvent(new CustomEvent("named", { detail: { id } }));
}

export function markGone(id) {
  for (const each of tilesOf(id)) {
    each.firstChild.textContent = "No longer there";
    each.dataset.named = each.dataset.gone = "";
  }
}

grid.addEventListener("focusin", ({ target }) => {
  if (!tileAt(target)) return;
  for (const each of grid.querySelectorAll('.tile[tabindex="0"]')) each.tabIndex = -1;
  target.tabIndex = 0;
});

grid.addEventListener("keydown", (event) => {
  const from = tileAt(event.target);
  if (!from || event.altKey || event.metaKey || event.shiftKey) return;
  const to = next(from, event.key, event.ctrlKey);
  if (!to) return;
  event.preventDefault();
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest", inline: "nearest", behavior: scrolling() });
});

function next(from, key, withControl) {
  const line = from.closest(".row");
  const tiles = [...line.querySelectorAll(".tile")];
  const at = tiles.indexOf(from);
  if (withControl) return { Home: allTiles()[0], End: [...allTiles()].at(-1) }[key];
  switch (key) {
    case "ArrowLeft":
      return tiles[at - 1];
    case "ArrowRight":
      return tiles[at + 1];
    case "Home":
      return tiles[0];
    case "End":
      return tiles.at(-1);
    case "ArrowUp":
      return nearest(line.previousElementSibling, from);
    case "ArrowDown":
      return nearest(line.nextElementSibling, from);
    default:
      return undefined;
  }
}

// Return the tile of another row that is shown above or below. Each row scrolls by itself.
function nearest(line, from) {
  const left = from.getBoundingClientRect().left;
  const distance = (each) => Math.abs(each.getBoundingClientRect().left - left);
  const tiles = [...(line?.querySelectorAll(".tile") ?? [])];
  return tiles.sort((one, other) => distance(one) - distance(other))[0];
}
