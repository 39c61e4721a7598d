// The operations of the HTTP protocol that this page uses, one function each.
//
// Invariant: an expired token is refreshed and the request repeated once; each operation says
// whether it may be repeated on another edge.
// Left out: what the answers mean for the page's state (state.js).

import { nonce } from './ids.js';

const REPEATABLE = { repeatable: true };

export class Api {
  #http;
  #session;

  constructor({ http, session }) {
    this.#http = http;
    this.#session = session;
  }

  // ---- People and sessions
  async register(details) {
    this.#session.keep(await this.#http.request('POST', '/accounts', { body: details }));
  }

  async signIn(username, password) {
    const body = { username, password };
    this.#session.keep(await this.#http.request('POST', '/sessions', { body }));
  }

  /** Ends the session; a server out of reach does not keep anybody signed in here. */
  async signOut() {
    try {
      await this.#call('DELETE', '/sessions/current', undefined, REPEATABLE);
    } finally {
      this.#session.forget();
    }
  }

  sessions = () => this.#call('GET', '/sessions');
  revokeSession = (id) => this.#call('DELETE', `/sessions/${id}`);
  changeProfile = (changes) => this.#call('PATCH', '/users/@me', changes);
  changePassword = (old, fresh) => this.#call('POST', '/users/@me/password', { old, new: fresh });
  users = (ids) => this.#call('GET', `/users?ids=${ids.join(',')}`);

  // ---- Conversations
  openDm = (username) => this.#call('POST', '/dms', { username }, REPEATABLE);
  createChannel = (name) =>
    this.#call('POST', '/channels', { name, nonce: nonce() }, REPEATABLE);
  channel = (id) => this.#call('GET', `/channels/${id}`);
  renameChannel = (id, name) => this.#call('PATCH', `/channels/${id}`, { name }, REPEATABLE);
  deleteChannel = (id) => this.#call('DELETE', `/channels/${id}`);
  addMember = (id, username) =>
    this.#call('POST', `/channels/${id}/members`, { username }, REPEATABLE);
  removeMember = (id, userId) => this.#call('DELETE', `/channels/${id}/members/${userId}`);

  // ---- Messages
  messagesBefore = (id, bound) =>
    this.#call('GET', `/conversations/${id}/messages?before=${bound}&limit=50`);
  entriesAfter = (id, bound) =>
    this.#call('GET', `/conversations/${id}/entries?after=${bound}&limit=100`);
  editMessage = (id, messageId, content) =>
    this.#call('PATCH', `/conversations/${id}/messages/${messageId}`, { content }, REPEATABLE);
  deleteMessage = (id, messageId) =>
    this.#call('DELETE', `/conversations/${id}/messages/${messageId}`);

  edges = () => this.#call('GET', '/edges');

  async #call(method, path, body, options = {}) {
    const token = await this.#session.token();
    try {
      return await this.#http.request(method, path, { ...options, token, body });
    } catch (error) {
      if (error.status !== 401) throw error;
      const fresh = await this.#session.token(token);
      return this.#http.request(method, path, { ...options, token: fresh, body });
    }
  }
}
