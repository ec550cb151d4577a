// Draw when each replica showed a new title. The axis is logarithmic, because milliseconds stand
// beside an hour.
import { byId, make } from "./dom.js";
import { time } from "./text.js";

const TICKS = [
  [1, "1 ms"],
  [10, "10 ms"],
  [100, "100 ms"],
  [1_000, "1 s"],
  [10_000, "10 s"],
  [60_000, "1 min"],
  [600_000, "10 min"],
  [3_600_000, "1 h"],
  [36_000_000, "10 h"],
];
const FROM = { near: "from its near cache", redis: "from Redis", store: "from the store" };

// Draw the moments after the change was sent: `shown` and `alone` are {name, ms, ...}.
export function drawTimeline({ acknowledgedMs, shown, alone }) {
  const longest = Math.max(1000, acknowledgedMs, ...[...shown, ...alone].map(({ ms }) => ms ?? 10_000));
  const place = (ms) => `${(100 * Math.log(Math.max(1, ms))) / Math.log(longest * 1.6)}%`;
  const acknowledged = place(acknowledgedMs);
  const lines = [
    ...shown.filter(({ isThere }) => isThere).map((each) => ({ ...each, ...ofReplica(each) })),
    ...alone.map((each) => ({ ...each, value: `up to ${time(each.ms)}` })),
  ].map(({ name, value, ms, oldMs, note }) =>
    line({
      name,
      value,
      note,
      old: place(oldMs ?? ms),
      until: place(ms ?? longest * 1.6),
      acknowledged,
    }),
  );
  const axis = make("div", { className: "axis", aria: { hidden: "true" } });
  for (const [ms, label] of TICKS.filter(([ms]) => ms <= longest * 1.6)) {
    const tick = make("span", { textContent: label });
    tick.style.setProperty("left", place(ms));
    axis.append(tick);
  }
  byId("timeline").replaceChildren(make("ul", {}, ...lines), axis);
  byId("timeline-mark").textContent = `after ${time(acknowledgedMs)}`;
  byId("timeline-box").hidden = false;
}

function ofReplica({ name, isOwn, ms, layer }) {
  return {
    name: `${isOwn ? "This replica" : "Replica"} ${name}`,
    value: ms === null ? "not in 10 s" : time(ms),
    note: FROM[layer] ?? "",
  };
}

// Make a line: `old` is the moment of the last answer with the old title, `until` that of the first
// one with the new title.
function line({ name, value, note, old, until, acknowledged }) {
  const between = make("span", { className: "between" });
  between.style.setProperty("width", until);
  const bar = make("span", { className: "old" });
  bar.style.setProperty("width", old);
  const mark = make("span", { className: "mark" });
  mark.style.setProperty("left", acknowledged);
  const words = [
    make("span", { textContent: name }),
    make("small", { textContent: note ?? "" }),
    make("b", { textContent: value }),
  ];
  return make(
    "li",
    {},
    make("p", {}, ...words),
    make("div", { className: "track", aria: { hidden: "true" } }, between, bar, mark),
  );
}
