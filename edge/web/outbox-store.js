// Unsent messages over a reload: written down here, taken back by the next page.
//
// Invariant: a stored message belongs to one living tab. Another takes it over only when that tab
// is gone, which its lock tells; without locks a tab takes back only what it wrote itself.
// Left out: whether and when a message is sent again (outbox.js).

import { nonce } from './ids.js';
import { freeze } from './outbox.js';

const KEY = 'outbox.';
const TAB = 'natter.tab';
const RELOAD_MS = 1000;

export class OutboxStore {
  #storage;
  #locks;
  #userId;
  #tab = nonce();
  #previousTab = null;
  #written = new Map();

  constructor({ storage, userId, locks = globalThis.navigator?.locks,
    tabStorage = globalThis.sessionStorage }) {
    this.#storage = storage;
    this.#userId = userId;
    this.#locks = locks;
    try {
      this.#previousTab = tabStorage.getItem(TAB);
      tabStorage.setItem(TAB, this.#tab);
    } catch { /* then nothing is taken back */ }
    this.#locks?.request(`${TAB}.${this.#tab}`, () => new Promise(() => {}));
  }

  /** The messages of this person that no living tab holds, oldest first. */
  async adopt() {
    const take = async () => {
      const records = [];
      for (const key of this.#storage.keys(KEY)) {
        const record = this.#storage.get(key);
        if (record?.user !== this.#userId || !(await this.#isGone(record.tab))) continue;
        this.#storage.set(key, { ...record, tab: this.#tab });
        this.#written.set(record.nonce, '');
        records.push(record);
      }
      return records.sort((a, b) => a.created - b.created);
    };
    return this.#locks ? this.#locks.request('natter.adopt', take) : take();
  }

  /** Makes storage hold what the outbox holds. */
  sync(outbox) {
    for (const pending of outbox.values()) {
      if (pending.status === 'acked') continue;
      const record = { user: this.#userId, tab: this.#tab, ...freeze(pending) };
      const text = JSON.stringify(record);
      if (this.#written.get(pending.nonce) === text) continue;
      this.#written.set(pending.nonce, text);
      this.#storage.set(KEY + pending.nonce, record);
    }
    for (const name of this.#written.keys()) {
      const pending = outbox.get(name);
      if (pending && pending.status !== 'acked') continue;
      this.#written.delete(name);
      this.#storage.remove(KEY + name);
    }
  }

  async #isGone(tab) {
    if (!this.#locks) return tab === this.#previousTab;
    const name = `${TAB}.${tab}`;
    const isFree = (lock) => lock !== null;
    if (await this.#locks.request(name, { ifAvailable: true }, isFree)) return true;
    if (tab !== this.#previousTab) return false;
    // This very tab before its reload: its lock goes at any moment.
    const signal = AbortSignal.timeout(RELOAD_MS);
    return this.#locks.request(name, { signal }, () => true).catch(() => false);
  }
}
