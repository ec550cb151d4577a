// Titles of the tiles in view, a few at a time: what only scrolls by is not asked for, and under
// load the service may refuse these first.
import { Away, GLANCE, read, rowOf } from "./client.js";
import { link } from "./link.js";
import { markGone, nameTiles, tileAt } from "./tiles.js";

const AT_ONCE = 3;
const REST_MS = 200; // that long in view, all in all, before anything is asked for
const TRIES = 3;

const inView = new Set(); // ids
const tries = new Map();
let underWay = 0;
let timer = 0;
let notBefore = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      inView[isIntersecting ? "add" : "delete"](target.dataset.id);
    }
    later(REST_MS);
  },
  { threshold: 0.25 },
);

export function watch(tiles) {
  observer.disconnect();
  inView.clear();
  tries.clear();
  for (const tile of tiles) {
    const row = rowOf(tile.dataset.id);
    if (row) nameTiles(tile.dataset.id, row.title);
    else observer.observe(tileAt(tile));
  }
}

function later(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, Math.max(milliseconds, notBefore - Date.now()));
}

function ask() {
  for (const id of inView) {
    if (underWay >= AT_ONCE || !link.up || Date.now() < notBefore) return;
    inView.delete(id);
    if (rowOf(id)) nameTiles(id, rowOf(id).title);
    else fetchTitle(id);
  }
}

async function fetchTitle(id) {
  underWay += 1;
  try {
    const { row } = await read(id, GLANCE);
    nameTiles(id, row.title);
  } catch (error) {
    failed(id, error);
  } finally {
    underWay -= 1;
    later(0);
  }
}

function failed(id, error) {
  if (error.isGone) {
    markGone(id);
    return;
  }
  const count = (tries.get(id) ?? 0) + (error instanceof Away ? 0 : 1);
  tries.set(id, count);
  if (count < TRIES) inView.add(id);
  notBefore = Date.now() + 1000 * (error.retryAfterS || 1);
}

link.addEventListener("up", () => later(0));
