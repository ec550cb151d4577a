// The replicas of the service that this page can read: its own, and those that its address names,
// as in /demo?replica=ADDRESS. Each has to allow this page's origin (CORS_ORIGINS).
import { pathOf, servedBy } from "./client.js";

const TIMEOUT_MS = 4000;
const LONGEST_MS = 10_000;
const REST_MS = 2; // between two reads at first
const REST_SHARE = 0.05; // of the time so far, later
const WARM = 3; // reads until the near cache of a replica has a row

// Return {name, isOwn, url} of each replica.
export function replicas() {
  const others = new URLSearchParams(location.search).getAll("replica").filter(isAddress);
  return [
    { name: location.host, isOwn: true, url: (path) => path },
    ...others.map((each) => ({
      name: new URL(each).host,
      isOwn: false,
      url: (path) => new URL(path, each.endsWith("/") ? each : `${each}/`).href,
    })),
  ];
}

function isAddress(text) {
  return URL.canParse(text) && new URL(text).protocol.startsWith("http");
}

// Read a row of a replica once. Return null if there is no answer or no row. A request without
// headers of its own needs no preflight.
async function look(replica, id) {
  const sentMs = performance.now();
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(replica.url(pathOf(id)), { cache: "no-store", signal });
    const { data } = await response.json();
    if (response.status !== 200) return null;
    const { headers } = response;
    return {
      tag: headers.get("ETag"),
      ageS: Number(headers.get("Age") ?? 0),
      row: data,
      ...servedBy(headers),
      sentMs,
      gotMs: performance.now(),
    };
  } catch {
    return null;
  }
}

// Read a row until the replica has it near, and return the last answer with the time since which
// it is near: {..., nearMs}.
export async function warm(replica, id) {
  let found = null;
  let nearMs = null;
  for (let number = 0; number < WARM && found?.layer !== "near"; number += 1) {
    found = await look(replica, id);
    if (found === null) return null;
    if (found.layer !== "near") nearMs = found.gotMs;
  }
  return { ...found, nearMs };
}

// Read a row again and again until a version other than `old` comes. Return {olds, found}: the
// answers with the old version, and the one with another. It is null if none comes in time, or once
// `signal` is aborted.
export async function follow(replica, id, old, signal) {
  const began = performance.now();
  const olds = [];
  while (!signal.aborted) {
    const found = await look(replica, id);
    if (found && found.tag !== old) return { olds, found };
    if (found) olds.push(found);
    const passed = performance.now() - began;
    if (passed > LONGEST_MS) break;
    await new Promise((resolve) => setTimeout(resolve, Math.max(REST_MS, passed * REST_SHARE)));
  }
  return { olds, found: null };
}
