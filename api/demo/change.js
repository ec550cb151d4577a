// Change a title, and see when each replica shows it. Undo is a change like any other.
import { change, rowOf } from "./client.js";
import { byId } from "./dom.js";
import { known } from "./layers.js";
import { follow, replicas, warm } from "./replicas.js";
import { failure, several, time } from "./text.js";
import { drawTimeline } from "./timeline.js";
import { nameTiles } from "./tiles.js";

const SUGGESTED = " (remastered)";

const [form, input, save, undo] = ["", "-title", "-save", "-undo"].map((name) => byId(`change${name}`));
const state = byId("change-state");
const all = replicas();
let chosen = null; // an id
let last = null; // of the last change: {id, title, tag}, with the title before and the tag after
let isBusy = false;

// Choose the title to change.
export function choose(id) {
  const title = rowOf(id)?.title;
  if (isBusy || title === undefined) return;
  chosen = id;
  byId("change-name").textContent = title;
  input.value = title.endsWith(SUGGESTED) ? title.slice(0, -SUGGESTED.length) : title + SUGGESTED;
  enable();
}

// Choose it unless another title was chosen before.
export const offer = (id) => chosen ?? choose(id);

function enable() {
  save.disabled = isBusy || chosen === null;
  undo.disabled = isBusy || last === null;
}

async function run(id, title, tag) {
  isBusy = true;
  enable();
  state.textContent = "Reading every replica …";
  const stop = new AbortController();
  try {
    await measure(id, title, tag, stop.signal);
  } catch (error) {
    state.textContent = failure(error);
  } finally {
    stop.abort();
    isBusy = false;
    choose(id);
    enable();
  }
}

// Read the row of every replica until it is near there, then change it, and read it again and again
// until every replica shows the new version.
async function measure(id, title, tag, signal) {
  const held = await Promise.all(all.map((replica) => warm(replica, id)));
  if (held[0] === null) throw new Error("The title cannot be read");
  const began = performance.now();
  const coming = held.map((old, at) => old && follow(all[at], id, old.tag, signal));
  const written = await change(id, tag ?? held[0].tag, { title });
  const acknowledged = performance.now();
  last = { id, title: held[0].row.title, tag: written.tag };
  nameTiles(id, written.row.title);
  const shown = (await Promise.all(coming)).map((followed, at) => ({
    ...all[at],
    isThere: followed !== null,
    ms: followed?.found ? followed.found.gotMs - began : null,
    oldMs: (followed?.olds.at(-1)?.gotMs ?? began) - began,
    layer: followed?.found?.layer,
    late: followed?.olds.filter(({ sentMs }) => sentMs > acknowledged).length ?? 0,
  }));
  drawTimeline({ acknowledgedMs: acknowledged - began, shown, alone: alone(held, began) });
  state.textContent = told(shown);
}

// Return when a cache that has only its TTL would have shown the new version, by the age of what
// the last replica held.
function alone(held, began) {
  const old = held.findLast((each) => each !== null);
  const nearS = (began - (old.nearMs ?? began)) / 1000;
  const rows = [
    ["near", "A near cache with only its TTL", known?.ttl_s.near - nearS],
    ["redis", "Redis with only its TTL", known?.ttl_s.redis - old.ageS],
  ];
  return rows
    .filter(([layer, , leftS]) => known?.[layer] === "up" && leftS > 0)
    .map(([layer, name, leftS]) => ({ layer, name, ms: leftS * 1000 }));
}

function told(shown) {
  const away = shown.find(({ isThere }) => !isThere);
  if (away) {
    const reason = `it is away, or its CORS_ORIGINS lacks ${location.origin}`;
    return `${away.name} cannot be read by this page: ${reason}.`;
  }
  const never = shown.find(({ ms }) => ms === null);
  if (never) return `${never.name} did not show the new title in time.`;
  const lastMs = Math.max(...shown.map(({ ms }) => ms));
  const who = shown.length > 1 ? "Every replica" : "The replica";
  const late = shown.reduce((sum, each) => sum + each.late, 0);
  const found = late ? several(late, "read") : "No read";
  return `${who} showed it within ${time(lastMs)}. ${found} sent after the acknowledgement found the old title.`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy && chosen) run(chosen, input.value.trim());
});
undo.addEventListener("click", () => !isBusy && last && run(last.id, last.title, last.tag));
byId("change-one").hidden = all.length > 1;
enable();
