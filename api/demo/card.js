// The card of the tile under the pointer or in focus. The card is shown at once with the kept data,
// and filled by a read with the priority of a hover.
import { Away, HOVER, read, rowOf } from "./client.js";
import { byId, make } from "./dom.js";
import { link } from "./link.js";
import { about, failure, serving } from "./text.js";
import { nameTiles, markGone, tileAt } from "./tiles.js";

const OPEN_MS = 120; // a pointer that only crosses a tile causes no read
const CLOSE_MS = 180; // time to get from a tile to its card
const GAP = 8;
const EDGE = 12;
const DOCK = 56;
const RETRIES = 5;

const card = byId("card");
let tile = null; // the tile whose card is shown
let opening = 0;
let closing = 0;
let retrying = 0;

export function hideCard() {
  for (const timer of [opening, closing, retrying]) clearTimeout(timer);
  tile?.removeAttribute("aria-describedby");
  tile = null;
  card.hidden = true;
}

export function setUpCard(grid, play) {
  grid.addEventListener("pointerover", ({ target, pointerType }) => {
    const over = tileAt(target);
    if (over && pointerType !== "touch") want(over);
  });
  grid.addEventListener("pointerout", ({ target, relatedTarget }) => {
    const from = tileAt(target);
    if (from && !from.contains(relatedTarget)) leave(from);
  });
  grid.addEventListener("focusin", ({ target }) => {
    if (tileAt(target)?.matches(":focus-visible")) want(tileAt(target));
  });
  grid.addEventListener("focusout", ({ target }) => leave(tileAt(target)));
  card.addEventListener("pointerenter", () => clearTimeout(closing));
  card.addEventListener("pointerleave", () => leave(tile));
  card.addEventListener("click", () => tile && play(tile));
  addEventListener("keydown", ({ key }) => key === "Escape" && hideCard());
  addEventListener("scroll", () => requestAnimationFrame(place), { capture: true, passive: true });
  addEventListener("resize", place);
  link.addEventListener("up", () => tile && load(tile, 0));
}

function want(over) {
  clearTimeout(closing);
  clearTimeout(opening);
  if (over !== tile) opening = setTimeout(() => open(over), OPEN_MS);
}

function leave(from) {
  clearTimeout(opening);
  clearTimeout(closing);
  if (from && from === tile) closing = setTimeout(hideCard, CLOSE_MS);
}

function open(over) {
  hideCard();
  if (!over.isConnected) return;
  tile = over;
  tile.setAttribute("aria-describedby", "card");
  fill(rowOf(tile.dataset.id), make("p", { className: "served", textContent: "Asking …" }));
  load(over, 0);
}

async function load(over, attempt) {
  const { id } = over.dataset;
  try {
    const { row, served } = await read(id, HOVER);
    nameTiles(id, row.title);
    if (over === tile) fill(row, serving(served));
  } catch (error) {
    if (error.isGone) markGone(id);
    if (over === tile) refused(over, error, attempt);
  }
}

function refused(over, error, attempt) {
  const row = error.isGone ? undefined : rowOf(over.dataset.id);
  const memory = row && error instanceof Away ? " This is what the page remembers." : "";
  const text = `${failure(error)}${memory}`;
  fill(row, make("p", { className: "served", data: { layer: "none" }, textContent: text }));
  if (error.isShed && attempt < RETRIES) {
    clearTimeout(retrying);
    retrying = setTimeout(() => load(over, attempt + 1), error.retryAfterS * 1000);
  }
}

function fill(row, footer) {
  const title = row?.title ?? "\u00a0";
  card.replaceChildren(
    make("p", { className: "name", textContent: title }),
    ...(row ? about(row) : []),
    footer,
  );
  card.hidden = false;
  place();
}

// Place the card below the tile or above it. Without room for it, the card shows less. A card beside
// the tile would cover the way to the next tile.
function place() {
  if (!tile) return;
  const at = tile.getBoundingClientRect();
  const below = innerHeight - DOCK - (at.bottom + GAP);
  const above = at.top - GAP - EDGE;
  delete card.dataset.tight;
  if (card.offsetHeight > Math.max(below, above)) card.dataset.tight = "";
  const { offsetWidth: width, offsetHeight: height } = card;
  const isBelow = height <= below || below >= above;
  const middle = at.left + at.width / 2 - width / 2;
  const left = Math.max(EDGE, Math.min(middle, innerWidth - width - EDGE));
  const top = isBelow ? at.bottom + GAP : at.top - GAP - height;
  card.style.setProperty("left", `${Math.round(left)}px`);
  card.style.setProperty("top", `${Math.round(top)}px`);
}
