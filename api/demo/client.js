// Reads of the API. The page keeps the rows itself and sends If-None-Match, past the browser's
// cache. So every read is one request, and the panel counts every answer of the service, also a 304.
import { link } from "./link.js";

const TIMEOUT_MS = 6000;
const KEPT = 2000; // rows, some two megabytes

export const CLICK = 1;
export const HOVER = 5;
export const GLANCE = 6; // a title that scrolled into view

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

export const answers = new EventTarget(); // "answer": {served}; "refusal": {error}
const kept = new Map(); // id -> {tag, row}, the oldest first

export const rowOf = (id) => kept.get(id)?.row;

// Return the row, the layer that had it and the time it took. Throw Away or Refused.
export async function read(id, urgency) {
  const mine = kept.get(id);
  const headers = { Priority: `u=${urgency}` };
  if (mine) headers["If-None-Match"] = mine.tag;
  try {
    const { response, body } = await get(`content/${encodeURIComponent(id)}`, headers);
    const isSame = response.status === 304 && mine !== undefined;
    const row = isSame ? mine.row : body.data;
    keep(id, response.headers.get("ETag"), row);
    const served = servedBy(response.headers, isSame);
    say("answer", { served, urgency });
    return { row, served };
  } catch (error) {
    if (error instanceof Refused) say("refusal", { error, urgency });
    if (error.isGone) kept.delete(id);
    throw error;
  }
}

// Return the rows of the home page: [{genre, ids}]. Throw Away or Refused.
export async function home() {
  const { body } = await get("home", {});
  return body.data.homePage.map((line) => {
    const [[genre, ids]] = Object.entries(line);
    return { genre, ids };
  });
}

async function get(path, headers) {
  const { response, text } = await fetched(path, headers);
  link.found();
  let body = null;
  try {
    if (text) body = JSON.parse(text);
  } catch {
    throw new Refused(response, "The answer is no JSON");
  }
  if (response.status === 304) return { response, body };
  if (response.status !== 200 || !body?.data) throw new Refused(response, body?.message);
  return { response, body };
}

async function fetched(path, headers) {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(path, { headers, cache: "no-store", signal });
    return { response, text: await response.text() };
  } catch (error) {
    link.lost();
    throw new Away("The service does not answer", { cause: error });
  }
}

function keep(id, tag, row) {
  kept.delete(id);
  if (tag === null) return;
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
