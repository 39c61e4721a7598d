// Named timers: asking again for one that is already set changes nothing.
//
// Invariant: at most one timer a name, so that no burst of events becomes a burst of work.
// Left out: anything that needs an exact time.

export class Timers {
  #set = new Map();

  once(name, ms, action) {
    if (this.#set.has(name)) return;
    this.#set.set(name, setTimeout(() => {
      this.#set.delete(name);
      action();
    }, ms));
  }

  has(name) {
    return this.#set.has(name);
  }

  clear() {
    for (const timer of this.#set.values()) clearTimeout(timer);
    this.#set.clear();
  }
}
