// Fetches people: who is in the channel on the screen, and the profiles nobody has sent yet.
//
// Invariant: a list of members that was under way while somebody came or went is corrected by what
// the events said meanwhile. A failed look-up is tried again after a pause, never in a loop.
// Left out: profiles that changed; USER_UPDATE brings those.

import { membersPage, putUsers } from './state.js';
import { Timers } from './timers.js';

const GATHER_MS = 30;
const RETRY_MS = 3000;
const BATCH = 100;

export class Directory {
  #api;
  #state;
  #now;
  #changed;
  #timers = new Timers();
  /** Channel id -> what changed since its list was asked for. */
  #loading = new Map();
  #isFetching = false;

  constructor({ api, state, now, changed }) {
    this.#api = api;
    this.#state = state;
    this.#now = now;
    this.#changed = changed;
  }

  stop() {
    this.#timers.clear();
  }

  /** Sees to it that the people of a conversation, and everybody mentioned, become known. */
  care(conversation) {
    if (conversation?.kind === 'channel' && conversation.membersStale) {
      this.#fetchMembers(conversation);
    }
    if (this.#state.missingUsers.size > 0) {
      this.#timers.once('users', GATHER_MS, () => this.#fetchUsers());
    }
  }

  memberChanged(type, { conversation_id, user_id }) {
    this.#loading.get(conversation_id)?.push({ user_id, joined: type === 'MEMBER_ADD' });
  }

  async #fetchMembers(conversation) {
    const { id } = conversation;
    if (this.#loading.has(id) || this.#timers.has(`members.${id}`)) return;
    const since = [];
    this.#loading.set(id, since);
    try {
      const channel = await this.#api.channel(id);
      membersPage(this.#state, conversation, channel, since);
    } catch {
      this.#timers.once(`members.${id}`, RETRY_MS, this.#changed);
    }
    this.#loading.delete(id);
    this.#changed();
  }

  async #fetchUsers() {
    const ids = [...this.#state.missingUsers].slice(0, BATCH);
    if (this.#isFetching || ids.length === 0) return;
    this.#isFetching = true;
    let pause = GATHER_MS;
    try {
      const { users } = await this.#api.users(ids);
      putUsers(this.#state, users, this.#now());
      for (const id of ids) this.#state.missingUsers.delete(id);
      this.#changed();
    } catch {
      pause = RETRY_MS;
    }
    this.#isFetching = false;
    if (this.#state.missingUsers.size > 0) {
      this.#timers.once('users', pause, () => this.#fetchUsers());
    }
  }
}
