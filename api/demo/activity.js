// The visitors of a video site, by the model of bench/load/activity.py: a visitor opens the home
// page, rests the pointer on one tile after another along a row, goes down to the next row, clicks
// or leaves. Titles are drawn by popularity (Zipf). Times are in seconds.
const ONWARD = 0.75; // the chance of a further tile in the same row
const DOWNWARD = 0.7; // the chance of a further row
const CLICK = 0.05; // the chance that a hover ends in a click, which ends the visit
const GLANCE_S = 0.4;
const READ_S = 1.2;
const SCROLL_S = 2;
const SCREEN = 12; // titles that are in view at first, asked for by one request

const HOVERS = 1 / (CLICK + (1 - CLICK) * (1 - ONWARD) * (1 - DOWNWARD));
export const REQUESTS_A_VISIT = 2 + HOVERS * (1 + CLICK);
export const VISIT_S = SCROLL_S + HOVERS * (READ_S + ONWARD * GLANCE_S + (1 - ONWARD) * SCROLL_S);

// Return a time of a Poisson process.
export const about = (meanS) => -meanS * Math.log(1 - Math.random());

// Yield what one visitor asks for, each after a pause: {pauseS, kind, ids}. The model has no memory:
// a visitor who has been there for a while goes on as a new visitor does behind the home page.
export function* visit(titles, isNew = true) {
  if (isNew) {
    yield { pauseS: 0, kind: "home", ids: [] };
    yield { pauseS: 0.05, kind: "screen", ids: titles.several(SCREEN) };
  }
  for (let pauseS = about(SCROLL_S); ; pauseS += about(SCROLL_S)) {
    for (;;) {
      const ids = [titles.draw()];
      yield { pauseS, kind: "hover", ids };
      pauseS = about(READ_S);
      if (Math.random() < CLICK) {
        yield { pauseS, kind: "click", ids };
        return;
      }
      if (Math.random() >= ONWARD) break;
      pauseS += about(GLANCE_S);
    }
    if (Math.random() >= DOWNWARD) return;
  }
}

// The titles that visitors look at, by rank: the popularity of the n-th is 1 / n ** exponent.
export class Titles {
  #ranked;
  #sums = [];

  constructor(ids) {
    this.#ranked = [...ids];
    for (let at = ids.length - 1; at > 0; at -= 1) {
      const other = Math.floor(Math.random() * (at + 1));
      [this.#ranked[at], this.#ranked[other]] = [this.#ranked[other], this.#ranked[at]];
    }
  }

  get size() {
    return this.#ranked.length;
  }

  // Use only the first `number` titles.
  follow(exponent, number) {
    let sum = 0;
    const ranks = Math.min(number, this.size);
    this.#sums = Array.from({ length: ranks }, (_, at) => (sum += (at + 1) ** -exponent));
  }

  draw() {
    const wanted = Math.random() * this.#sums.at(-1);
    let [low, high] = [0, this.#sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sums[middle] > wanted) high = middle;
      else low = middle + 1;
    }
    return this.#ranked[low];
  }

  several(number) {
    return [...new Set(Array.from({ length: number }, () => this.draw()))];
  }
}
