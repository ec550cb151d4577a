// The player: the read of a click, and its answer about the title. There is no film to play: only
// the time passes.
import { paint } from "./art.js";
import { CLICK, read, rowOf } from "./client.js";
import { byId } from "./dom.js";
import { link } from "./link.js";
import { about, clock, failure, serving } from "./text.js";
import { markGone, nameTiles } from "./tiles.js";

const RETRIES = 5;

const dialog = byId("player");
const part = (name) => byId(`player-${name}`);
let from = null; // the tile whose title is played
let length = 0; // seconds; 0 if unknown
let position = 0;
let ticking = 0;
let retrying = 0;

export function play(tile) {
  from = tile;
  stop();
  position = length = 0;
  paint(part("stage"), tile.dataset.id);
  show(rowOf(tile.dataset.id), null, "Starting …");
  part("toggle").disabled = true;
  dialog.showModal();
  start(tile, 0);
}

async function start(tile, attempt) {
  const { id } = tile.dataset;
  part("retry").hidden = true;
  try {
    const { row, served } = await read(id, CLICK);
    nameTiles(id, row.title);
    if (tile === from) playing(row, served);
  } catch (error) {
    if (error.isGone) markGone(id);
    if (tile === from) waiting(tile, error, attempt);
  }
}

function playing(row, served) {
  length = row.duration ?? 0;
  show(row, served, "");
  part("toggle").disabled = false;
  tick();
  toggle();
}

function waiting(tile, error, attempt) {
  show(error.isGone ? undefined : rowOf(tile.dataset.id), null, failure(error));
  part("retry").hidden = error.isGone;
  if (!error.isShed || attempt >= RETRIES) return;
  clearTimeout(retrying);
  retrying = setTimeout(() => from === tile && start(tile, attempt + 1), error.retryAfterS * 1000);
}

function show(row, served, state) {
  part("title").textContent = row?.title ?? "\u00a0";
  part("state").textContent = state;
  part("about").replaceChildren(...(row ? about(row) : []), ...(served ? [serving(served)] : []));
  part("progress").value = 0;
  part("time").textContent = "";
}

function tick() {
  part("progress").value = length ? Math.min(position / length, 1) : 0;
  part("time").textContent = length ? `${clock(position)} / ${clock(length)}` : clock(position);
  position += 1;
}

function toggle() {
  if (ticking) stop();
  else ticking = setInterval(tick, 1000);
  part("toggle").textContent = ticking ? "Pause" : "Play";
}

function stop() {
  clearInterval(ticking);
  clearTimeout(retrying);
  ticking = 0;
}

part("toggle").addEventListener("click", toggle);
part("close").addEventListener("click", () => dialog.close());
part("retry").addEventListener("click", () => from && start(from, 0));
// a click beside the dialog's content has the dialog itself as its target
dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  stop();
  const tile = from;
  from = null;
  tile?.focus({ preventScroll: true });
});
link.addEventListener("up", () => from && !part("retry").hidden && start(from, 0));
