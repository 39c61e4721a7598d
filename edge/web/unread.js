// Read markers and the number of unread messages.
//
// Invariant: a marker only moves forward. The count is exact as soon as everything after the marker
// is held; until then it is the server's count, moved by what the events say.
// Left out: deciding that something has been read (client.js, timeline-view.js).

import { after, compare, maxId } from './ids.js';

/** The server counts no further. */
export const UNREAD_CAP = 100;

export function isUnread(state, conversation, message) {
  return message.author_id !== state.me?.id && message.content !== ''
    && compare(message.id, conversation.read_id ?? '0') > 0;
}

export function addUnread(conversation, change) {
  if (change < 0 && conversation.unread >= UNREAD_CAP) return;
  conversation.unread = Math.min(UNREAD_CAP, Math.max(0, conversation.unread + change));
}

export function recount(state, conversation) {
  const { timeline, counted, cursor } = conversation;
  const marker = conversation.read_id ?? '0';
  const isHeld = compare(cursor, counted) >= 0
    && (timeline.start || compare(timeline.low, after(marker)) <= 0)
    && !timeline.gaps.some((range) => compare(range.to, marker) > 0);
  if (!isHeld) return;
  const unread = timeline.messages.filter((message) => isUnread(state, conversation, message));
  conversation.unread = Math.min(UNREAD_CAP, unread.length);
}

/** Moves the marker forward; `confirmed` when the server said so. */
export function moveMarker(state, conversation, id, confirmed) {
  if (confirmed) conversation.server_read_id = maxId(conversation.server_read_id ?? '0', id);
  const old = conversation.read_id ?? '0';
  if (compare(id, old) <= 0) return;
  const { messages } = conversation.timeline;
  const newest = messages.at(-1)?.id ?? conversation.last_id ?? '0';
  const seen = messages.filter((message) => compare(message.id, id) <= 0
    && isUnread(state, conversation, message)).length;
  conversation.read_id = id;
  if (compare(id, newest) >= 0) conversation.unread = 0;
  else addUnread(conversation, -seen);
  recount(state, conversation);
}

/** Conversations whose marker was moved here and not yet confirmed by the server. */
export function unconfirmedMarkers(state) {
  return [...state.conversations.values()].filter(({ listed, read_id, server_read_id }) =>
    listed && read_id !== null && compare(read_id, server_read_id ?? '0') > 0);
}

export const unreadTotal = (state) => [...state.conversations.values()]
  .reduce((sum, conversation) => sum + (conversation.listed ? conversation.unread : 0), 0);
