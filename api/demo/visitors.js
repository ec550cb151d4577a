// Send visitors: an open loop, whose next request does not wait for the answer to the last one. At
// most IN_FLIGHT requests are under way, and a request that is due meanwhile is left out.
import { about, REQUESTS_A_VISIT, Titles, visit, VISIT_S } from "./activity.js";
import { ask, Away, call, CLICK, GLANCE, HOVER, pathOf, pathOfMany, Refused, someIds } from "./client.js";
import { clearChart, drawChart } from "./chart.js";
import { byId } from "./dom.js";
import { link } from "./link.js";
import { count, failure } from "./text.js";

const IN_FLIGHT = 4; // a browser has six connections to an origin, and the page needs some itself

const ASK = {
  home: () => call("home"),
  screen: (ids) => ask(pathOfMany(ids), GLANCE),
  hover: ([id]) => ask(pathOf(id), HOVER),
  click: ([id]) => ask(pathOf(id), CLICK),
};
const [button, state] = [byId("visitors-toggle"), byId("visitors-state")];
const slider = (name) => byId(`visitors-${name}`);
let titles = null;
let running = null; // an AbortController
let sent = 0; // in this second
let leftOut = 0; // since the start
let underWay = 0;

const rateS = () => Number(slider("rate").value);
const exponent = () => Number(slider("zipf").value);

// Return the number of titles. The slider's steps are even on a logarithmic scale.
function number() {
  const share = Number(slider("titles").value);
  const all = titles?.size ?? 10_000;
  return share >= 1 ? all : Math.round(Math.min(10, all) * (all / Math.min(10, all)) ** share);
}

async function start() {
  stop("");
  running = new AbortController();
  const { signal } = running;
  button.textContent = "Stop";
  try {
    titles ??= new Titles(await someIds());
    if (titles.size === 0) throw new Error("The catalogue is empty");
  } catch (error) {
    titles = null;
    if (!signal.aborted) stop(failure(error));
    return;
  }
  if (signal.aborted) return;
  leftOut = sent = 0;
  show();
  const visitsS = rateS() / REQUESTS_A_VISIT;
  // the site has been open for a while: so many visitors are there
  for (let left = visitsS * VISIT_S; left > 0; left -= 1) live(visit(titles, false), signal);
  tick(signal);
  while (await pause(about(1 / visitsS), signal)) live(visit(titles), signal);
}

function stop(text) {
  running?.abort();
  running = null;
  button.textContent = "Send visitors";
  state.textContent = text;
}

async function live(steps, signal) {
  for (const { pauseS, kind, ids } of steps) {
    if (!(await pause(pauseS, signal))) return;
    send(kind, ids);
  }
}

async function send(kind, ids) {
  if (underWay >= IN_FLIGHT || !link.up) {
    leftOut += 1;
    return;
  }
  underWay += 1;
  sent += 1;
  try {
    await ASK[kind](ids);
  } catch (error) {
    if (!(error instanceof Away || error instanceof Refused)) throw error; // the panel says it
  } finally {
    underWay -= 1;
  }
}

async function tick(signal) {
  while (await pause(1, signal)) {
    const out = leftOut ? `, ${count(leftOut)} left out (at most ${IN_FLIGHT} are under way)` : "";
    state.textContent = `${count(sent)} requests in the last second${out}.`;
    sent = 0;
    drawChart();
  }
}

// Wait, and return whether the visitors are still wanted.
function pause(seconds, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(!signal.aborted);
    };
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

function show() {
  titles?.follow(exponent(), number());
  byId("visitors-rate-shown").textContent = `${rateS()}/s`;
  byId("visitors-zipf-shown").textContent = exponent().toFixed(1);
  const isAll = titles === null && Number(slider("titles").value) >= 1;
  byId("visitors-titles-shown").textContent = isAll ? "all" : count(number());
}

button.addEventListener("click", () => {
  if (running) return stop("Stopped.");
  clearChart();
  return start();
});
for (const name of ["zipf", "titles"]) slider(name).addEventListener("input", show);
slider("rate").addEventListener("input", show);
slider("rate").addEventListener("change", () => running && start());
document.addEventListener("visibilitychange", () => {
  if (document.hidden && running) stop("Stopped, because the page was hidden.");
});
addEventListener("pagehide", () => running && stop("Stopped, because the page was left."));
show();
