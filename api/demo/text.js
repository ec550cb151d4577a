// The texts about a row, for the card and the player.
import { make } from "./dom.js";

const CAST_SHOWN = 4;

export const count = (number) => number.toLocaleString("en");
export const several = (number, one, more = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : more}`;

// Such as: 24 µs, 3.2 ms, 480 ms, 4.2 s, 59 min
export function time(milliseconds) {
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export function length(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

export function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// Such as: 2021 · PG-13 · 1 h 34 min
function facts(row) {
  const seasons = row.seasons && several(row.seasons, "season");
  return [
    row.ismovie ? "Film" : "Series",
    row.releasedate,
    row.rating,
    row.duration && length(row.duration),
    seasons,
    row.isoriginal && "Original",
  ]
    .filter(Boolean)
    .join(" · ");
}

function some(names) {
  const more = names.length - CAST_SHOWN;
  return more > 1 ? `${names.slice(0, CAST_SHOWN).join(", ")} and ${more} more` : names.join(", ");
}

const line = (term, value) =>
  value ? make("p", { className: "line" }, make("span", { textContent: term }), ` ${value}`) : null;

// Return everything about a title except its name.
export function about(row) {
  const genres = row.genres.map((genre) => make("li", { textContent: genre }));
  return [
    make("p", { className: "facts", textContent: facts(row) }),
    row.description ? make("p", { className: "description", textContent: row.description }) : null,
    make("ul", { className: "genres", aria: { label: "Genres" } }, ...genres),
    line("Cast", some(row.cast)),
    line("Director", row.director),
    line("Countries", some(row.regions)),
  ].filter((part) => part !== null);
}

const WHO = {
  near: "Served near",
  redis: "Served by Redis",
  store: "Served by the store",
  collapsed: "Served by joining a read under way",
};

// Such as: Served by Redis in 240 µs, not modified (304). You waited 3.2 ms.
export function serving(served) {
  const who =
    served.layer === "stale"
      ? `Stale by ${count(served.staleS)} s, from ${served.from}`
      : (WHO[served.layer] ?? "Served");
  const took = served.micros === null ? "" : ` in ${count(served.micros)} µs`;
  const same = served.notModified ? ", not modified (304)" : "";
  const waited = `. You waited ${time(served.waitedMs)}.`;
  return make(
    "p",
    { className: "served", data: { layer: served.layer } },
    make("i", { className: "dot", data: { layer: served.layer } }),
    `${who}${took}${same}${waited}`,
  );
}

// Return the text about a row that could not be read.
export function failure(error) {
  if (error.isGone) return "This title is no longer there.";
  if (error.isShed) return "Busy at the moment: clicks are answered first.";
  if (error.status === 401 || error.status === 403) return `Not allowed: ${error.message}.`;
  if (error.status === 412) return "This title has been changed by another writer meanwhile.";
  if (error.status === 504) return "The store did not answer in time.";
  return error.status ? `The service could not answer (${error.status}).` : `${error.message}.`;
}
