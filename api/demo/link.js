// The link knows whether the service can be reached. Every request reports whether it got an answer.
// After a request without an answer, the link tries again at growing intervals.
const FIRST_S = 1;
const LONGEST_S = 8;
const TIMEOUT_MS = 4000;

class Link extends EventTarget {
  up = true;
  #wait = FIRST_S;
  #left = 0;
  #timer = 0;

  // A request got no answer at all.
  lost() {
    if (!this.up) return;
    this.up = false;
    this.#wait = FIRST_S;
    this.#say("down");
    this.#count(this.#wait);
  }

  // A request was answered, whatever the answer was.
  found() {
    if (this.up) return;
    this.up = true;
    clearTimeout(this.#timer);
    this.#say("up");
  }

  // Try now. If there is no answer, wait longer before the next try.
  async retry() {
    if (this.up) return;
    clearTimeout(this.#timer);
    this.#say("asking");
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      await fetch("healthz", { cache: "no-store", signal });
      this.found();
    } catch {
      if (this.up) return; // another request was answered in the meantime
      this.#wait = Math.min(this.#wait * 2, LONGEST_S);
      this.#count(this.#wait);
    }
  }

  #count(left) {
    clearTimeout(this.#timer);
    if (left <= 0) {
      this.retry();
      return;
    }
    this.#left = left;
    this.#say("waiting");
    this.#timer = setTimeout(() => this.#count(left - 1), 1000);
  }

  get secondsLeft() {
    return this.#left;
  }

  #say(what) {
    this.dispatchEvent(new Event(what));
  }
}

export const link = new Link();
