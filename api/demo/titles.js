// Read the titles of the tiles in view, a few at a time. A tile that only scrolls by causes no read.
// Under load the service may refuse these reads first.
import { Away, GLANCE, read, rowOf } from "./client.js";
import { link } from "./link.js";
import { markGone, nameTiles } from "./tiles.js";

const AT_ONCE = 3;
const REST_MS = 200; // the time in view before a title is read
const TRIES = 3;

const inView = new Set(); // tiles; a title in two rows may be in view in one of them
const tries = new Map();
const underWay = new Set(); // ids
let timer = 0;
let notBefore = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      inView[isIntersecting ? "add" : "delete"](target);
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
    else observer.observe(tile);
  }
}

function later(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, Math.max(milliseconds, notBefore - Date.now()));
}

function ask() {
  for (const tile of inView) {
    if (underWay.size >= AT_ONCE || !link.up || Date.now() < notBefore) return;
    const { id, named } = tile.dataset;
    if (named === undefined && underWay.has(id)) continue;
    inView.delete(tile);
    if (named !== undefined) continue;
    if (rowOf(id)) nameTiles(id, rowOf(id).title);
    else fetchTitle(tile, id);
  }
}

async function fetchTitle(tile, id) {
  underWay.add(id);
  try {
    const { row } = await read(id, GLANCE);
    nameTiles(id, row.title);
  } catch (error) {
    failed(tile, id, error);
  } finally {
    underWay.delete(id);
    later(0);
  }
}

function failed(tile, id, error) {
  if (error.isGone) {
    markGone(id);
    return;
  }
  const count = (tries.get(id) ?? 0) + (error instanceof Away ? 0 : 1);
  tries.set(id, count);
  if (count < TRIES && tile.isConnected) inView.add(tile);
  notBefore = Date.now() + 1000 * (error.retryAfterS || 1);
}

link.addEventListener("up", () => later(0));
