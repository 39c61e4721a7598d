// The client: keeps the state true by connecting, fetching and sending at the right moments.
//
// Invariant: the state is changed by the functions of state.js alone, and `changed` is called after
// every change. Nothing is fetched twice at once for the same purpose.
// Left out: the document; what a person sees and does is in the views.

import { nonce } from './ids.js';
import * as states from './state.js';
import * as outboxes from './outbox.js';
import { moveMarker, unconfirmedMarkers } from './unread.js';
import { forgetBelow, trim } from './timeline.js';
import { Directory } from './directory.js';
import { Gateway, READ, SEND, TYPING } from './gateway.js';
import { Timers } from './timers.js';

const PUMP_MS = 1000;
const READ_EVERY_MS = 300;
const TYPING_EVERY_MS = 4000;
const TYPING_SHOWN_MS = 6100;
const RETRY_MS = 3000;
/** A new conversation that was not announced by then is found by a new connection. */
const ANNOUNCED_WITHIN_MS = 5000;
/** A gap larger than this many pages is left to scrolling, unless a message waits for it. */
const MAX_GAP_PAGES = 20;
const IDLE_WINDOW = { most: 300, keep: 100 };
const OPEN_WINDOW = { most: 1000, keep: 500, limit: 5000 };

export class Client {
  state = states.createState();
  /** The conversation on the screen, or null. */
  open = null;
  /** Conversation id -> {busy, error} of its older pages. */
  older = new Map();
  changed = () => {};
  notice = () => {};
  #store;
  #gateway;
  #now;
  #given = {};
  #timers = new Timers();
  #directory;
  #isPagingGaps = false;
  #typedAt = 0;
  #sentReads = new Map();

  constructor({ api, session, edges, store, Socket, now = Date.now }) {
    this.api = api;
    this.#store = store;
    this.#now = now;
    this.#directory = new Directory({ api, state: this.state, now,
      changed: () => this.#afterChange() });
    this.#gateway = new Gateway({ edges, Socket, on: {
      token: (refused) => session.token(refused),
      identify: () => { this.#given = states.cursors(this.state); return this.#given; },
      event: (type, data) => this.#event(type, data),
      link: (link) => this.#linkChanged(link),
      unreachable: () => this.api.edges().then(({ edges: urls }) => edges.learn(urls), () => {}),
      suspect: () => { this.state.conversations.clear(); },
    } });
  }

  get link() {
    return this.#gateway.link;
  }

  async start() {
    states.restore(this.state, await this.#store.adopt());
    this.#gateway.start();
  }

  stop() {
    this.#gateway.stop();
    this.#timers.clear();
    this.#directory.stop();
  }

  wake() {
    this.#gateway.wake();
  }

  /** The page may be gone in a moment: what waits to be gathered is sent now. */
  leaving() {
    this.#sendReads();
  }

  // ---- What a person does

  /** Shows a conversation: what it lacks is fetched, the one left behind is made small. */
  show(id) {
    const left = this.state.conversations.get(this.open);
    if (left && this.open !== id) trim(left.timeline, IDLE_WINDOW.keep);
    this.open = id;
    if (id !== null) this.#care();
    this.changed();
  }

  /** Sends a message; returns at once, the outbox shows how it fares. */
  send(conversationId, content) {
    const pending = outboxes.createPending({
      nonce: nonce(), conversation_id: conversationId, content, now: this.#now() });
    this.state.outbox.set(pending.nonce, pending);
    this.#typedAt = 0;
    this.#pump();
    this.changed();
  }

  retry(name) {
    outboxes.retry(this.state.outbox, name, nonce());
    this.#pump();
    this.changed();
  }

  discard(name) {
    this.state.outbox.delete(name);
    this.#pump();
    this.changed();
  }

  discardAll() {
    this.state.outbox.clear();
    this.#pump();
  }

  /** One's own profile, as the answer to a change gave it. */
  profileChanged(user) {
    states.dispatch(this.state, 'USER_UPDATE', user, this.#now());
    this.changed();
  }

  /** Everything up to `id` has been seen. */
  seen(conversation, id) {
    moveMarker(this.state, conversation, id, false);
    this.#timers.once('reads', READ_EVERY_MS, () => this.#sendReads());
    this.changed();
  }

  typing(conversationId) {
    if (this.#now() - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = this.#now();
    this.#gateway.send(TYPING, { conversation_id: conversationId });
  }

  async loadOlder(id) {
    const conversation = this.state.conversations.get(id);
    if (!conversation || conversation.timeline.start || this.older.get(id)?.busy) return;
    this.older.set(id, { busy: true, error: null });
    this.changed();
    const bound = conversation.timeline.low;
    let error = null;
    try {
      const page = await this.api.messagesBefore(id, bound);
      const current = this.state.conversations.get(id);
      if (current) states.olderPage(this.state, current, bound, page, this.#now());
    } catch (reason) {
      error = reason.message;
    }
    this.older.set(id, { busy: false, error });
    this.#afterChange();
  }

  /** Keeps the window on the screen small while its newest end is what is looked at. */
  tidy(conversation) {
    if (conversation.timeline.messages.length <= OPEN_WINDOW.most) return false;
    trim(conversation.timeline, OPEN_WINDOW.keep);
    return true;
  }

  /** Resolves when the conversation an answer named has been announced. */
  async announced(id) {
    const deadline = this.#now() + ANNOUNCED_WITHIN_MS;
    for (let asked = false; !this.state.conversations.get(id)?.listed;) {
      if (!asked && this.#now() > deadline) {
        asked = true;
        this.#gateway.restart();
      }
      if (this.#now() > deadline + ANNOUNCED_WITHIN_MS) return;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }

  // ---- What the connection brings

  #event(type, data) {
    if (type === 'READY') {
      states.ready(this.state, data, this.#given, this.#now());
      this.#dropHomeless();
    } else {
      const held = this.state.conversations.get(data?.conversation_id);
      const waiting = type === 'CONVERSATION_REMOVE' ? this.#outgoing(held) : 0;
      states.dispatch(this.state, type, data ?? {}, this.#now());
      if (type.startsWith('MEMBER_')) this.#directory.memberChanged(type, data);
      if (waiting > 0) this.notice(`${waiting} unsent message(s) could not be delivered.`);
      if (type === 'TYPING') {
        this.#timers.once(`typing.${data.user_id}`, TYPING_SHOWN_MS, () => this.changed());
      }
      if (held) this.#bound(held);
    }
    this.#afterChange();
  }

  #linkChanged(link) {
    if (!link.ready) outboxes.disconnect(this.state.outbox);
    if (link.resumed) for (const [id, { error }] of this.older) if (error) this.older.delete(id);
    this.#afterChange();
  }

  #afterChange() {
    this.#pump();
    if (this.link.ready) this.#care();
    this.changed();
  }

  /** Fetches what the screen or a waiting message needs and is not there. */
  #care() {
    if (!this.#timers.has('gaps')) this.#pageGaps();
    this.#directory.care(this.state.conversations.get(this.open));
    if (unconfirmedMarkers(this.state).length > 0) {
      this.#timers.once('reads', READ_EVERY_MS, () => this.#sendReads());
    }
  }

  #pump() {
    const { outbox, conversations } = this.state;
    const { connection } = this.link;
    const now = this.#now();
    const isGapped = (id) => states.isGapped(this.state, id);
    const { send, reconnect } = outboxes.due(outbox, this.link, isGapped, now);
    for (const pending of send) {
      const cursor = conversations.get(pending.conversation_id)?.cursor ?? '0';
      outboxes.markSent(pending, connection, cursor, now);
    }
    this.#store.sync(outbox);
    for (const { conversation_id, content, nonce: name } of send) {
      this.#gateway.send(SEND, { conversation_id, content, nonce: name });
    }
    if (reconnect) this.#gateway.restart();
    if (outbox.size > 0) this.#timers.once('pump', PUMP_MS, () => this.#pump());
  }

  #sendReads() {
    for (const { id, read_id } of unconfirmedMarkers(this.state)) {
      const mark = `${this.link.connection}.${read_id}`;
      if (this.#sentReads.get(id) === mark) continue;
      const isSent = this.#gateway.send(READ, { conversation_id: id, id: read_id });
      if (isSent) this.#sentReads.set(id, mark);
    }
  }

  async #pageGaps() {
    if (this.#isPagingGaps) return;
    this.#isPagingGaps = true;
    try {
      for (let found = this.#nextGap(); found && this.link.ready; found = this.#nextGap()) {
        const { conversation, range } = found;
        const page = await this.api.entriesAfter(conversation.id, range.from);
        states.gapPage(this.state, conversation, range, page, this.#now());
        range.pages = (range.pages ?? 0) + 1;
        if (range.pages >= MAX_GAP_PAGES && !states.hasOutgoing(this.state, conversation.id)
          && conversation.timeline.gaps.includes(range)) {
          forgetBelow(conversation.timeline, range.to);
        }
        this.#pump();
        this.changed();
      }
    } catch {
      this.#timers.once('gaps', RETRY_MS, () => this.#pageGaps());
    } finally {
      this.#isPagingGaps = false;
    }
  }

  #nextGap() {
    for (const conversation of this.state.conversations.values()) {
      const [range] = conversation.timeline.gaps;
      const isNeeded = conversation.id === this.open
        || states.hasOutgoing(this.state, conversation.id);
      if (range && isNeeded) return { conversation, range };
    }
    return null;
  }

  #outgoing(conversation) {
    return [...this.state.outbox.values()].filter((pending) =>
      pending.conversation_id === conversation?.id && pending.status !== 'acked').length;
  }

  /** Messages for a conversation that went away while this page was closed. */
  #dropHomeless() {
    for (const [name, pending] of this.state.outbox) {
      if (!this.state.conversations.has(pending.conversation_id)) this.state.outbox.delete(name);
    }
  }

  #bound(conversation) {
    const { length } = conversation.timeline.messages;
    if (conversation.id !== this.open) {
      if (length > IDLE_WINDOW.most) trim(conversation.timeline, IDLE_WINDOW.keep);
    } else if (length > OPEN_WINDOW.limit) trim(conversation.timeline, OPEN_WINDOW.keep);
  }
}
