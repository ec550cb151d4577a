// Requests to the API. The page keeps the rows itself and sends If-None-Match, past the browser's
// cache. So every read is one request, and the panel counts every answer of the service, also a 304.
import { link } from "./link.js";

const TIMEOUT_MS = 6000;
const KEPT = 2000; // rows, some two megabytes

export const CLICK = 1;
export const HOVER = 5;
export const GLANCE = 6; // titles that scrolled into view

// The service did not answer in time, or at all.
export class Away extends Error {}

// The service answered without the row: 404, 503 with the seconds to wait, or another failure.
export class Refused extends Error {
  constructor(response, message) {
    super(message || `HTTP ${response.status}`);
    this.status = response.status;
    this.retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10) || 0;
  }

  get isGone() {
    return this.status === 404;
  }

  get isShed() {
    return this.status === 503 && this.retryAfterS > 0;
  }
}

export const answers = new EventTarget(); // "answer": {served, urgency}; "refusal": {error}
const kept = new Map(); // id -> {tag, row}, the oldest first; a row of a batch has no tag

export const rowOf = (id) => kept.get(id)?.row;

// Return the row, the layer that had it and the time it took. Throw Away or Refused.
export async function read(id, urgency) {
  const mine = kept.get(id);
  const condition = mine?.tag ? { "If-None-Match": mine.tag } : {};
  try {
    const { response, body, served } = await ask(pathOf(id), urgency, condition);
    const row = served.notModified ? mine.row : body.data;
    keep(id, response.headers.get("ETag"), row);
    return { row, served };
  } catch (error) {
    if (error.isGone) kept.delete(id);
    throw error;
  }
}

// Return the rows of many titles by one request: {id: row, or null}. Throw Away or Refused.
export async function readMany(ids) {
  const { body } = await ask(pathOfMany(ids), GLANCE);
  for (const [id, row] of Object.entries(body.data)) {
    if (row) keep(id, null, row);
  }
  return body.data;
}

export const pathOf = (id) => `content/${encodeURIComponent(id)}`;
export const pathOfMany = (ids) => `content?ids=${ids.map(encodeURIComponent).join(",")}`;

// Ask about titles, and count the answer. Throw Away or Refused.
export async function ask(path, urgency, condition = {}) {
  const headers = { Priority: `u=${urgency}`, ...condition };
  try {
    const { response, body, waitedMs } = await call(path, { headers });
    const served = { ...servedBy(response.headers, response.status === 304), waitedMs };
    say("answer", { served, urgency });
    return { response, body, served };
  } catch (error) {
    if (error instanceof Refused) say("refusal", { error, urgency });
    throw error;
  }
}

// Change a row that still has the tag, and return the new row and its tag. Throw Away or Refused.
export async function change(id, tag, changes) {
  const headers = { "Content-Type": "application/json", "If-Match": tag };
  const body = JSON.stringify(changes);
  const answer = await call(pathOf(id), { method: "PATCH", headers, body });
  const row = answer.body.data;
  keep(id, answer.response.headers.get("ETag"), row);
  return { row, tag: answer.response.headers.get("ETag") };
}

// Return the ids of the catalogue, at most 10,000, page by page. Throw Away or Refused.
export async function someIds() {
  const ids = [];
  for (let path = "uuids?limit=1000"; path && ids.length < 10_000; ) {
    const { response, body } = await call(path);
    ids.push(...body.data);
    path = /<([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1];
  }
  return ids;
}

// Return the rows of the home page: [{genre, ids}]. Throw Away or Refused.
export async function home() {
  const { body } = await call("home");
  return body.data.homePage.map((line) => {
    const [[genre, ids]] = Object.entries(line);
    return { genre, ids };
  });
}

export async function call(path, options = {}) {
  const { response, text, waitedMs } = await fetched(path, options);
  link.found();
  let body = null;
  try {
    if (text) body = JSON.parse(text);
  } catch {
    throw new Refused(response, "The answer is no JSON");
  }
  if (response.status === 304) return { response, body, waitedMs };
  if (response.status !== 200 || !body?.data) throw new Refused(response, body?.message);
  return { response, body, waitedMs };
}

async function fetched(path, options) {
  const began = performance.now();
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(path, { ...options, cache: "no-store", signal });
    const text = await response.text();
    return { response, text, waitedMs: performance.now() - began };
  } catch (error) {
    link.lost();
    throw new Away("The service does not answer", { cause: error });
  }
}

function keep(id, tag, row) {
  kept.delete(id);
  kept.set(id, { tag, row });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

// Return the layer and the time of an answer, from Cache-Status (RFC 9211) and Server-Timing.
export function servedBy(headers, notModified = false) {
  const [, ...said] = (headers.get("Cache-Status") ?? "").split(";").map((part) => part.trim());
  const value = (name) => said.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
  const from = value("detail") ?? "unknown";
  const ttl = Number(value("ttl") ?? 0);
  const isHit = said.includes("hit");
  const milliseconds = /\btotal;dur=([0-9.]+)/.exec(headers.get("Server-Timing") ?? "")?.[1];
  return {
    layer: ttl < 0 ? "stale" : said.includes("collapsed") ? "collapsed" : from,
    from,
    isHit,
    staleS: ttl < 0 ? -ttl : 0,
    micros: milliseconds === undefined ? null : Math.round(Number(milliseconds) * 1000),
    notModified,
  };
}

function say(type, detail) {
  answers.dispatchEvent(new CustomEvent(type, { detail }));
}
