// The little that survives a reload: the session, the known edges, messages not yet sent.
//
// Invariant: a browser that refuses storage costs persistence, never a working page. All keys share
// one prefix and hold JSON.
// Left out: messages and cursors of conversations. A reloaded page shows nothing yet, so it starts
// from READY; only a message under way needs its conversation's cursor, and carries it.

const PREFIX = 'natter.';

export class Storage {
  #area;
  #fallback = new Map();

  constructor(area = globalThis.localStorage) {
    this.#area = area;
  }

  get(key) {
    const text = this.#try((area) => area.getItem(PREFIX + key))
      ?? this.#fallback.get(key) ?? null;
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(key, value) {
    const text = JSON.stringify(value);
    if (this.#try((area) => area.setItem(PREFIX + key, text) ?? true)) this.#fallback.delete(key);
    else this.#fallback.set(key, text);
  }

  remove(key) {
    this.#fallback.delete(key);
    this.#try((area) => area.removeItem(PREFIX + key));
  }

  keys(start) {
    const stored = this.#try((area) => Object.keys(area)) ?? [];
    const all = [...stored.filter((key) => key.startsWith(PREFIX))
      .map((key) => key.slice(PREFIX.length)), ...this.#fallback.keys()];
    return all.filter((key) => key.startsWith(start));
  }

  /** Calls back when another tab has changed the key. */
  watch(key, changed) {
    globalThis.addEventListener?.('storage', (event) => {
      if (event.key === PREFIX + key || event.key === null) changed();
    });
  }

  #try(action) {
    try {
      return action(this.#area);
    } catch {
      return undefined;
    }
  }
}
