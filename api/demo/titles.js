// Read the titles of the tiles in view, a screen by one request. A tile that only scrolls by causes
// no read. Under load the service may refuse these reads first.
import { Away, readMany, rowOf } from "./client.js";
import { link } from "./link.js";
import { markGone, nameTiles } from "./tiles.js";

const MOST = 100; // ids in one request, as the service allows
const REST_MS = 200; // the time in view before a title is read
const TRIES = 3;

const inView = new Set(); // tiles; a title in two rows may be in view in one of them
const tries = new Map();
let isAsking = false;
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
  if (isAsking || !link.up || Date.now() < notBefore) return;
  const wanted = new Map(); // id -> a tile
  for (const tile of inView) {
    const { id, named } = tile.dataset;
    if (named === undefined && wanted.size >= MOST) break;
    inView.delete(tile);
    if (named !== undefined) continue;
    if (rowOf(id)) nameTiles(id, rowOf(id).title);
    else wanted.set(id, tile);
  }
  if (wanted.size) readTitles(wanted);
}

async function readTitles(wanted) {
  isAsking = true;
  try {
    for (const [id, row] of Object.entries(await readMany([...wanted.keys()]))) {
      if (row) nameTiles(id, row.title);
      else markGone(id);
    }
  } catch (error) {
    for (const [id, tile] of wanted) failed(tile, id, error);
    notBefore = Date.now() + 1000 * (error.retryAfterS || 1);
  } finally {
    isAsking = false;
    later(0);
  }
}

function failed(tile, id, error) {
  const count = (tries.get(id) ?? 0) + (error instanceof Away ? 0 : 1);
  tries.set(id, count);
  if (count < TRIES && tile.isConnected) inView.add(tile);
}

link.addEventListener("up", () => later(0));
