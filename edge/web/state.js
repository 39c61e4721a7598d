// What this page knows of a person's conversations: built from READY, kept by events and pages.
//
// Invariant: each entry takes effect once, by its id; `cursor` is the protocol's cursor, so that
// what is held plus what a resume from it brings is all there is; only CONVERSATION_REMOVE takes a
// conversation away. Functions change the state they are given and nothing else: no clock, no
// network, no storage, no page.
// Left out: when to fetch and to send (client.js), the rules of repeating (outbox.js), counting
// what is unread (unread.js).

import { after, compare, maxId, minId } from './ids.js';
import * as timelines from './timeline.js';
import { acknowledge, refuse, thaw } from './outbox.js';
import { addUnread, isUnread, moveMarker, recount } from './unread.js';

export const MAX_CURSORS = 5000;
const TYPING_MS = 6000;
/** Lists may show an older profile for a while after its USER_UPDATE. */
const USER_HELD_MS = 5000;

export function createState() {
  return {
    me: null, sessionId: null,
    users: new Map(), usersHeld: new Map(), missingUsers: new Set(),
    conversations: new Map(),
    outbox: new Map(),
  };
}

function createConversation(id, cursor) {
  return {
    id, kind: null, name: null, owner_id: null, user_id: null,
    /** shown to the person: READY or CONVERSATION_ADD has named it */
    listed: false,
    cursor, last_id: null, read_id: null,
    /** the read marker the server is known to have */
    server_read_id: null,
    unread: 0,
    /** entries up to here are in the `unread` that the server gave */
    counted: '0',
    timeline: timelines.createTimeline(after(cursor), cursor === '0'),
    members: null, membersStale: true,
    typing: new Map(),
  };
}

// ---- What a connection starts with

/** Cursors to give: conversations with messages under way come first if there are too many. */
export function cursors(state) {
  const sending = new Set([...state.outbox.values()].map((pending) => pending.conversation_id));
  const all = [...state.conversations.values()];
  all.sort((a, b) => sending.has(b.id) - sending.has(a.id) || compare(b.cursor, a.cursor));
  return Object.fromEntries(all.slice(0, MAX_CURSORS).map(({ id, cursor }) => [id, cursor]));
}

/** Takes back messages kept over a reload; their conversations resume from before them. */
export function restore(state, records) {
  for (const record of records) {
    const pending = thaw(record);
    state.outbox.set(pending.nonce, pending);
    if (pending.cursor === null) continue;
    const held = state.conversations.get(pending.conversation_id);
    const cursor = held ? minId(held.cursor, pending.cursor) : pending.cursor;
    state.conversations.set(pending.conversation_id,
      createConversation(pending.conversation_id, cursor));
  }
}

/** READY. `given` holds the cursors this connection was identified with. */
export function ready(state, data, given, now) {
  state.me = data.user;
  state.sessionId = data.session_id;
  putUsers(state, [...(data.users ?? []), data.user], now);
  for (const summary of data.conversations) {
    const held = state.conversations.get(summary.id);
    if (held && given[summary.id] !== undefined) describe(state, held, summary);
    else open(state, summary, held);
  }
}

/** A conversation that starts here: what `summary` shows is held, the rest is older history. */
function open(state, summary, previous) {
  const conversation = createConversation(summary.id, summary.last_id ?? '0');
  const first = summary.messages?.[0];
  if (first && compare(first.id, conversation.timeline.low) < 0) {
    conversation.timeline = timelines.createTimeline(first.id);
  }
  if (previous) conversation.members = previous.members;
  state.conversations.set(summary.id, conversation);
  describe(state, conversation, summary);
  for (const message of summary.messages ?? []) hold(state, conversation, message);
  for (const [nonce, pending] of state.outbox) {
    if (pending.conversation_id === summary.id && pending.status === 'acked') {
      state.outbox.delete(nonce);
    }
  }
  recount(state, conversation);
}

function describe(state, conversation, summary) {
  conversation.listed = true;
  conversation.kind = summary.kind;
  conversation.name = summary.name ?? null;
  conversation.owner_id = summary.owner_id ?? null;
  conversation.user_id = summary.user_id ?? null;
  conversation.last_id = maxId(conversation.last_id ?? '0', summary.last_id ?? '0');
  conversation.counted = summary.last_id ?? '0';
  conversation.server_read_id = summary.read_id ?? null;
  if (compare(conversation.read_id ?? '0', summary.read_id ?? '0') <= 0) {
    conversation.read_id = summary.read_id ?? null;
    conversation.unread = summary.unread ?? 0;
  }
  if (conversation.user_id) want(state, conversation.user_id);
  recount(state, conversation);
}

// ---- Events

/** Applies one DISPATCH other than READY and RESUMED. */
export function dispatch(state, type, data, now) {
  const conversation = state.conversations.get(data.conversation_id);
  switch (type) {
    case 'CONVERSATION_ADD': return added(state, data);
    case 'CONVERSATION_REMOVE': return removed(state, data.conversation_id);
    case 'USER_UPDATE': return userUpdated(state, data, now);
    case 'ACK': return acked(state, conversation, data);
    case 'NACK': return refused(state, data, now);
    default:
  }
  if (!conversation) return undefined;
  switch (type) {
    case 'TYPING':
      if (data.user_id === state.me?.id) return undefined;
      want(state, data.user_id);
      return void conversation.typing.set(data.user_id, now + TYPING_MS);
    case 'READ': return moveMarker(state, conversation, data.id, true);
    case 'GAP': return gap(state, conversation, data);
    default: return data.id === undefined ? undefined : entry(state, conversation, type, data);
  }
}

function added(state, summary) {
  const held = state.conversations.get(summary.id);
  if (!held) return open(state, summary);
  const { unread, counted, listed } = held;
  describe(state, held, summary);
  const isKnown = listed && compare(held.cursor, summary.last_id ?? '0') >= 0;
  if (isKnown) Object.assign(held, { unread, counted });
  return recount(state, held);
}

function removed(state, id) {
  state.conversations.delete(id);
  for (const [nonce, pending] of state.outbox) {
    if (pending.conversation_id === id) state.outbox.delete(nonce);
  }
}

/** One entry of the log as the connection brings it. */
function entry(state, conversation, type, data) {
  if (compare(data.id, conversation.cursor) <= 0) return;
  conversation.cursor = data.id;
  conversation.last_id = maxId(conversation.last_id ?? '0', data.id);
  const isNews = compare(data.id, conversation.counted) > 0;
  if (type === 'MESSAGE_CREATE') {
    hold(state, conversation, data);
    conversation.typing.delete(data.author_id);
    if (isNews && isUnread(state, conversation, data)) addUnread(conversation, 1);
  } else if (type === 'MESSAGE_UPDATE') {
    timelines.update(conversation.timeline, data);
  } else if (type === 'MESSAGE_DELETE') {
    const message = timelines.remove(conversation.timeline, data);
    if (message && isNews && isUnread(state, conversation, message)) addUnread(conversation, -1);
  } else if (type === 'CHANNEL_UPDATE') {
    conversation.name = data.name;
  } else if (type === 'MEMBER_ADD' || type === 'MEMBER_REMOVE') {
    memberChanged(state, conversation, type === 'MEMBER_ADD', data.user_id);
  }
  recount(state, conversation);
}

function gap(state, conversation, { from, to }) {
  if (compare(from, conversation.cursor) < 0) {
    // The log ends before what is held here: begin again from what the server has.
    conversation.cursor = from;
    conversation.timeline = timelines.createTimeline(after(from), from === '0');
  }
  conversation.membersStale = true;
  if (to === '0') return;
  const { timeline } = conversation;
  const isNeeded = timeline.messages.length > 0 || timeline.gaps.length > 0
    || hasOutgoing(state, conversation.id);
  if (isNeeded) timelines.addGap(timeline, from, to);
  else conversation.timeline = timelines.createTimeline(to);
}

function acked(state, conversation, { nonce, id }) {
  const pending = state.outbox.get(nonce);
  if (!pending) return;
  acknowledge(pending, id);
  if (!conversation) return;
  const { timeline } = conversation;
  const isSeen = compare(id, conversation.cursor) <= 0
    && !timeline.gaps.some((g) => compare(g.from, id) < 0 && compare(id, g.to) < 0);
  if (isSeen || timelines.find(timeline, id)) state.outbox.delete(nonce);
}

function refused(state, data, now) {
  const pending = data.nonce === undefined ? null : state.outbox.get(data.nonce);
  if (pending) refuse(pending, data, now);
}

// ---- Pages

/** A page of GET messages that was asked for with `bound` (the window's low end). */
export function olderPage(state, conversation, bound, page, now) {
  putUsers(state, page.users ?? [], now);
  const { timeline } = conversation;
  if (!timelines.insertOlder(timeline, bound, page)) return false;
  for (const message of page.messages) settle(state, message);
  recount(state, conversation);
  return true;
}

/** A page of GET entries for a gap: only what concerns messages counts, the rest is in READY. */
export function gapPage(state, conversation, range, page, now) {
  putUsers(state, page.users ?? [], now);
  const { timeline } = conversation;
  if (!timeline.gaps.includes(range)) return;
  for (const { t, d } of page.entries) {
    if (compare(d.id, range.to) >= 0) break;
    if (t === 'MESSAGE_CREATE') hold(state, conversation, d);
    else if (t === 'MESSAGE_UPDATE') timelines.update(timeline, d);
    else if (t === 'MESSAGE_DELETE') timelines.remove(timeline, d);
  }
  timelines.shrinkGap(timeline, range, page.has_more ? page.next : null);
  recount(state, conversation);
}

/** The whole list of a channel's members; `since` holds what changed after it was asked for. */
export function membersPage(state, conversation, channel, since) {
  conversation.members = new Set(channel.member_ids ?? []);
  conversation.membersStale = false;
  for (const { user_id, joined } of since) {
    memberChanged(state, conversation, joined, user_id);
  }
  for (const id of conversation.members) want(state, id);
}

export function putUsers(state, users, now) {
  for (const user of users) {
    state.missingUsers.delete(user.id);
    if ((state.usersHeld.get(user.id) ?? 0) > now) continue;
    state.users.set(user.id, user);
  }
}

// ---- Parts

export const hasOutgoing = (state, id) =>
  [...state.outbox.values()].some((pending) => pending.conversation_id === id);

export const isGapped = (state, id) =>
  (state.conversations.get(id)?.timeline.gaps.length ?? 0) > 0;

function hold(state, conversation, message) {
  timelines.insert(conversation.timeline, message);
  want(state, message.author_id);
  settle(state, message);
}

/** One's own message with the nonce of a pending one is its acknowledgement. */
function settle(state, message) {
  if (message.author_id !== state.me?.id || message.nonce == null) return;
  const pending = state.outbox.get(message.nonce);
  if (pending?.conversation_id === message.conversation_id) state.outbox.delete(message.nonce);
}

function memberChanged(state, conversation, joined, userId) {
  want(state, userId);
  if (joined) conversation.members?.add(userId);
  else conversation.members?.delete(userId);
}

function userUpdated(state, user, now) {
  state.users.set(user.id, user);
  state.usersHeld.set(user.id, now + USER_HELD_MS);
  state.missingUsers.delete(user.id);
  if (state.me?.id === user.id) state.me = user;
}

function want(state, id) {
  if (!state.users.has(id)) state.missingUsers.add(id);
}
