// The messages of one conversation that this page holds: a window of its history.
//
// Invariant: every message with an id of `low` or more, up to the newest entry received, is in
// `messages` exactly once, ascending, in its latest known state, except in the ranges of `gaps`.
// Below `low` nothing is held; `start` says that nothing is there.
// Edits and deletions are also remembered by message id, because a page that was asked for earlier
// may arrive after them with an older state.
// Left out: who may do what, unread counts (state.js), fetching (client.js).

import { after, before, compare, maxId } from './ids.js';

/** How many edits and deletions are remembered beyond the messages they touched. */
const REMEMBERED = 2000;

export function createTimeline(low, start = false) {
  return { low, start, messages: [], gaps: [], edits: new Map(), deleted: new Set() };
}

/** The place of the first message whose id is `id` or more. */
function position(timeline, id) {
  let low = 0;
  let high = timeline.messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(timeline.messages[middle].id, id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function find(timeline, id) {
  const message = timeline.messages[position(timeline, id)];
  return message?.id === id ? message : null;
}

/** Adds a message, or brings the one held up to date. False when it was already there or gone. */
export function insert(timeline, message) {
  if (compare(message.id, timeline.low) < 0) return false;
  if (message.content === '') remember(timeline.deleted, message.id);
  if (timeline.deleted.has(message.id)) return false;
  const index = position(timeline, message.id);
  const held = timeline.messages[index];
  if (held?.id === message.id) {
    if ((message.edited_at ?? '') > (held.edited_at ?? '')) edit(held, message);
    return false;
  }
  const added = { ...message };
  const known = timeline.edits.get(message.id);
  if (known && isNewer(added, known.edited_at)) edit(added, known);
  timeline.messages.splice(index, 0, added);
  return true;
}

/** Applies a MESSAGE_UPDATE, also to a message that is not held yet. */
export function update(timeline, { message_id, content, at }) {
  const change = { content, edited_at: at };
  const known = timeline.edits.get(message_id);
  if (!known || known.edited_at <= at) remember(timeline.edits, message_id, change);
  const held = find(timeline, message_id);
  if (held && isNewer(held, at)) edit(held, change);
}

/** Applies a MESSAGE_DELETE; the message removed, or null when it was not held. */
export function remove(timeline, { message_id }) {
  remember(timeline.deleted, message_id);
  const index = position(timeline, message_id);
  if (timeline.messages[index]?.id !== message_id) return null;
  return timeline.messages.splice(index, 1)[0];
}

/** Adds the page asked for with `before = low`. A page for another window is not used. */
export function insertOlder(timeline, bound, page) {
  if (bound !== timeline.low || timeline.start) return false;
  const first = page.messages[0]?.id;
  timeline.low = page.has_more ? (page.next ?? first ?? bound) : '0';
  timeline.start = !page.has_more;
  for (const message of page.messages) insert(timeline, message);
  return true;
}

/** Remembers a range (both ends excluded) that has not been fetched. */
export function addGap(timeline, from, to) {
  let range = { from: maxId(from, before(timeline.low)), to };
  if (compare(after(range.from), range.to) >= 0) return;
  const apart = [];
  for (const gap of timeline.gaps) {
    if (compare(gap.to, range.from) <= 0 || compare(gap.from, range.to) >= 0) apart.push(gap);
    else range = { from: compare(gap.from, range.from) < 0 ? gap.from : range.from,
      to: maxId(gap.to, range.to) };
  }
  timeline.gaps = [...apart, range].sort((a, b) => compare(a.from, b.from));
}

/** Moves the lower end of a gap to `id`, the last entry seen of it; null closes it. */
export function shrinkGap(timeline, gap, id) {
  if (id !== null && compare(after(id), gap.to) < 0) gap.from = maxId(gap.from, id);
  else timeline.gaps = timeline.gaps.filter((other) => other !== gap);
}

/** Forgets everything below `low`; it can be fetched again as older pages. */
export function forgetBelow(timeline, low) {
  if (compare(low, timeline.low) <= 0) return;
  timeline.low = low;
  timeline.start = false;
  timeline.messages.splice(0, position(timeline, low));
  timeline.gaps = timeline.gaps.filter((gap) => compare(gap.to, low) > 0);
  for (const gap of timeline.gaps) gap.from = maxId(gap.from, before(low));
}

/** Keeps at most the newest `count` messages. */
export function trim(timeline, count) {
  const excess = timeline.messages.length - count;
  if (excess > 0) forgetBelow(timeline, timeline.messages[excess].id);
}

function isNewer(message, at) {
  return message.edited_at == null || message.edited_at <= at;
}

function edit(message, { content, edited_at }) {
  message.content = content;
  message.edited_at = edited_at;
}

function remember(collection, key, value) {
  collection.delete(key);
  if (value === undefined) collection.add(key);
  else collection.set(key, value);
  if (collection.size > REMEMBERED) collection.delete(collection.keys().next().value);
}
