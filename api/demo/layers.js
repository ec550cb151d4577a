// The layers of the service, and the state of each as /readyz tells it.
import { link } from "./link.js";

export const LAYERS = [
  ["near", "Near", "in process"],
  ["redis", "Redis", "shared"],
  ["store", "Store"],
  ["collapsed", "Joined a load"],
  ["stale", "Stale"],
];
const EVERY_MS = 10_000;
const TIMEOUT_MS = 4000;

// "change": {near, redis, store, ttl_s}
export const states = new EventTarget();
export let known = null; // the latest

async function look() {
  if (document.hidden || !link.up) return;
  try {
    const response = await fetch("readyz", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    known = (await response.json()).data;
    states.dispatchEvent(new Event("change"));
  } catch {
    // the next request of the page finds out whether the service is away
  }
}

link.addEventListener("up", look);
document.addEventListener("visibilitychange", look);
setInterval(look, EVERY_MS);
look();
