// Put the parts of the page together. The page stays usable while the service is away.
import { hideCard, setUpCard } from "./card.js";
import { choose, offer } from "./change.js";
import { Away, home } from "./client.js";
import { byId, scrolling } from "./dom.js";
import { link } from "./link.js";
import { openPanel } from "./panel.js";
import { play } from "./player.js";
import { failure } from "./text.js";
import { allTiles, showPlaceholders, showRows, tileAt } from "./tiles.js";
import { watch } from "./titles.js";
import "./visitors.js";

const grid = byId("home");
const note = byId("note");
let isLoading = false;
let isWanted = true; // whether the rows are still missing
let timer = 0;

function open(tile) {
  hideCard();
  choose(tile.dataset.id);
  play(tile);
}

function tell(text) {
  note.textContent = text;
  note.hidden = text === "";
}

async function load() {
  if (isLoading) return;
  isLoading = isWanted = true;
  clearTimeout(timer);
  try {
    const lines = await home();
    isWanted = false;
    hideCard();
    showRows(lines);
    watch(allTiles());
    tell(lines.length ? "" : "The catalogue is empty: there is no title to show yet.");
  } catch (error) {
    // sayAway shows the outage, and the link's "up" runs this again
    if (error instanceof Away) return;
    tell(`${failure(error)} Trying again.`);
    timer = setTimeout(load, 1000 * (error.retryAfterS || 2));
  } finally {
    isLoading = false;
  }
}

function sayAway() {
  const left = link.secondsLeft;
  byId("away").hidden = link.up;
  byId("away-text").textContent = link.up ? "" : "The service does not answer.";
  byId("away-next").textContent = left ? `Next try in ${left} s.` : "";
}

for (const type of ["down", "waiting", "up"]) link.addEventListener(type, sayAway);
link.addEventListener("asking", () => {
  byId("away-next").textContent = "Asking …";
});
link.addEventListener("up", () => isWanted && load());
byId("away-retry").addEventListener("click", () => link.retry());
byId("again").addEventListener("click", () => {
  scrollTo({ top: 0 });
  load();
});
for (const each of document.querySelectorAll("[data-opens]")) {
  each.addEventListener("click", (event) => {
    event.preventDefault();
    openPanel(true);
    const part = document.querySelector(each.hash);
    part.focus({ preventScroll: true });
    part.scrollIntoView({ block: "start", behavior: scrolling() });
  });
}
grid.addEventListener("named", ({ detail: { id } }) => offer(id));
grid.addEventListener("click", ({ target }) => tileAt(target) && open(tileAt(target)));
setUpCard(grid, open);
// the focus returns to the tile, which must not open its card
byId("player").addEventListener("close", hideCard);
showPlaceholders(5);
load();
