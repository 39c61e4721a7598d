// Who is signed in here: tokens, kept for all tabs of this browser.
//
// Invariant: a refresh token is used with one nonce only, stored with it before it is needed, so
// that two tabs (or one, again, after a lost answer) get the same answer instead of ending the
// session. A lock keeps tabs from asking twice where the browser has locks; nothing depends on it.
// Left out: what an access token is used for.

import { nonce } from './ids.js';

const KEY = 'session';
/** Refresh when less than this is left, or a quarter of a short life. */
const MARGIN_MS = 60_000;

export class SignedOut extends Error {
  constructor() {
    super('You are signed out.');
    this.code = 'signed_out';
  }
}

export class Session {
  #storage;
  #http;
  #locks;
  #now;
  #underWay = null;
  #changed = () => {};

  constructor({ storage, http, locks = globalThis.navigator?.locks, now = Date.now }) {
    this.#storage = storage;
    this.#http = http;
    this.#locks = locks;
    this.#now = now;
  }

  /** The id of the person signed in, or null. */
  get userId() {
    return this.#storage.get(KEY)?.user_id ?? null;
  }

  /** Keeps the answer of a registration, a sign-in or a refresh. */
  keep(answer) {
    const life = answer.expires_in * 1000;
    this.#storage.set(KEY, {
      user_id: answer.user.id,
      access_token: answer.access_token,
      refresh_at: this.#now() + life - Math.min(MARGIN_MS, life / 4),
      refresh_token: answer.refresh_token,
      refresh_nonce: nonce(),
    });
  }

  forget() {
    this.#storage.remove(KEY);
    this.#changed();
  }

  /** Calls back when the session ended here, or changed in another tab in any way. */
  watch(changed) {
    this.#changed = changed;
    this.#storage.watch(KEY, changed);
  }

  /** An access token that is good for a while; `refused` is one that the server did not take. */
  async token(refused = null) {
    const held = this.#held(refused);
    if (held) return held;
    this.#underWay ??= this.#exclusively(() => this.#refresh(refused))
      .finally(() => { this.#underWay = null; });
    return this.#underWay;
  }

  #held(refused) {
    const record = this.#storage.get(KEY);
    if (!record) throw new SignedOut();
    const isGood = record.access_token !== refused && this.#now() < record.refresh_at;
    return isGood ? record.access_token : null;
  }

  async #refresh(refused) {
    const held = this.#held(refused);
    if (held) return held;
    const { user_id, refresh_token, refresh_nonce } = this.#storage.get(KEY);
    const isUnchanged = () => this.#storage.get(KEY)?.refresh_token === refresh_token;
    try {
      const answer = await this.#http.request('POST', '/sessions/refresh',
        { body: { refresh_token, nonce: refresh_nonce }, repeatable: true });
      if (isUnchanged()) this.keep({ ...answer, user: answer.user ?? { id: user_id } });
    } catch (error) {
      if (error.status !== 401) throw error;
      if (isUnchanged()) this.forget();
    }
    const record = this.#storage.get(KEY);
    if (!record) throw new SignedOut();
    return record.access_token;
  }

  #exclusively(action) {
    return this.#locks ? this.#locks.request('natter.refresh', action) : action();
  }
}
