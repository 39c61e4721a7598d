// The edges this page may use: which are known, and which to try next.
//
// Invariant: the edge that served the page is always among them. Every edge speaks for the whole
// platform, so any may take over at any moment.
// Left out: connecting, and waiting between attempts (gateway.js).

const MAX_EDGES = 64;
const AVOID_MS = 10_000;
const MAX_AVOID_MS = 60_000;

export class Edges {
  #own;
  #storage;
  #known;
  #bad = new Map();
  #now;
  #random;
  /** The edge in use. */
  current;

  constructor({ own, storage, now = Date.now, random = Math.random }) {
    this.#own = own;
    this.#storage = storage;
    this.#now = now;
    this.#random = random;
    this.#known = (storage.get('edges') ?? []).filter((url) => this.#isUsable(url));
    this.current = own;
  }

  all() {
    return [...new Set([this.#own, ...this.#known])];
  }

  /** Takes the list from READY or GET /edges in place of the one held. */
  learn(urls) {
    const usable = (urls ?? []).map((url) => String(url).replace(/\/+$/, ''))
      .filter((url) => this.#isUsable(url));
    if (usable.length === 0) return;
    this.#known = [...new Set(usable)].slice(0, MAX_EDGES);
    this.#storage.set('edges', this.#known);
  }

  /** The edge is to be avoided for a while, longer each time. */
  failed(url, least = 0) {
    const times = (this.#bad.get(url)?.times ?? 0) + 1;
    const pause = Math.max(least, Math.min(MAX_AVOID_MS, AVOID_MS * 2 ** (times - 1)));
    this.#bad.set(url, { times, until: this.#now() + pause });
  }

  worked(url) {
    this.#bad.delete(url);
    this.current = url;
  }

  /** The edge to try now: the one in use while it is good, else a good one, else the least bad. */
  pick({ except = null } = {}) {
    const isGood = (url) => url !== except && (this.#bad.get(url)?.until ?? 0) <= this.#now();
    if (isGood(this.current) && this.all().includes(this.current)) return this.current;
    const good = this.all().filter(isGood);
    if (good.length > 0) return good[Math.floor(this.#random() * good.length)];
    const others = this.all().filter((url) => url !== except);
    const until = (url) => this.#bad.get(url)?.until ?? 0;
    return others.sort((a, b) => until(a) - until(b))[0] ?? this.#own;
  }

  #isUsable(url) {
    try {
      const { protocol } = new URL(url);
      return protocol === 'https:' || (protocol === 'http:' && !this.#own.startsWith('https:'));
    } catch {
      return false;
    }
  }
}
