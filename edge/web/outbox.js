// Messages that were written here and are not yet known to be part of their conversation.
//
// Invariant: a message that may have been stored is repeated only as the protocol allows: with its
// own nonce, on the connection that carried it for two minutes, later only once a resume has shown
// everything since. In each conversation one message is under way at a time, so they keep the
// order in which they were written.
// Left out: sockets, clocks and storage; the caller brings the time and does the sending.

/** No answer for so long: ask again. */
const REPEAT_MS = 10_000;
/** How long a connection that carried a message may carry it again. */
const SAME_CONNECTION_MS = 120_000;
/** Refusals that pass are repeated this often before the person is asked. */
const MAX_REFUSALS = 6;

const PASSING = new Set(['rate_limited', 'unavailable', 'timeout']);

export function createPending({ nonce, conversation_id, content, now }) {
  return {
    nonce, conversation_id, content,
    created: now,
    /** queued, sent, acked (its MESSAGE_CREATE is still to come) or failed */
    status: 'queued',
    /** the conversation's cursor when it was first sent: the message can only be above it */
    cursor: null,
    connection: 0, firstSent: 0, lastSent: 0, notBefore: 0,
    /** frames without an answer on this connection */
    unanswered: 0,
    /** an earlier frame may have been stored, and nobody said so */
    unknown: false,
    refusals: 0,
    error: null,
    id: null,
  };
}

export const inDoubt = (pending) => pending.unknown || pending.unanswered > 0;
const isWaiting = (pending) => pending.status === 'queued' || pending.status === 'sent';

/**
 * What to send now. `link` is {connection, ready, resumed}; `isGapped` tells whether a conversation
 * has a range that was not fetched. `reconnect` is true when only a new connection can tell what
 * became of a message.
 */
export function due(outbox, link, isGapped, now) {
  const result = { send: [], reconnect: false };
  if (!link.ready) return result;
  const busy = new Set();
  for (const pending of outbox.values()) {
    if (!isWaiting(pending) || busy.has(pending.conversation_id)) continue;
    busy.add(pending.conversation_id);
    if (now < pending.notBefore) continue;
    if (inDoubt(pending)) {
      if (pending.connection !== link.connection) {
        if (!link.resumed || isGapped(pending.conversation_id)) continue;
      } else if (now - pending.firstSent >= SAME_CONNECTION_MS) {
        result.reconnect = true;
        continue;
      } else if (pending.unanswered > 0 && now - pending.lastSent < REPEAT_MS) continue;
    }
    result.send.push(pending);
  }
  return result;
}

export function markSent(pending, connection, cursor, now) {
  if (pending.connection !== connection || !inDoubt(pending)) pending.firstSent = now;
  pending.connection = connection;
  pending.lastSent = now;
  pending.unanswered += 1;
  pending.cursor ??= cursor;
  pending.status = 'sent';
}

export function acknowledge(pending, id) {
  pending.status = 'acked';
  pending.id = id;
  pending.unanswered = 0;
  pending.unknown = false;
  pending.error = null;
}

export function refuse(pending, { code, message, retry_after_ms }, now) {
  if (!isWaiting(pending)) return;
  pending.unanswered = Math.max(0, pending.unanswered - 1);
  const pause = retry_after_ms ?? Math.min(30_000, 1000 * 2 ** pending.refusals);
  if (code === 'unknown_outcome') {
    pending.unknown = true;
    pending.notBefore = now + Math.max(pause, 2000);
  } else if (PASSING.has(code) && pending.refusals < MAX_REFUSALS) {
    pending.refusals += 1;
    pending.notBefore = now + pause;
    if (!inDoubt(pending)) pending.status = 'queued';
  } else {
    pending.status = 'failed';
    pending.error = { code, message };
  }
}

/** The connection is gone, and with it the answers that were under way. */
export function disconnect(outbox) {
  for (const pending of outbox.values()) {
    if (pending.unanswered > 0) pending.unknown = true;
    pending.unanswered = 0;
    if (pending.status !== 'failed') pending.notBefore = 0;
  }
}

/** Tries a failed message again; one whose nonce is taken by another text needs a new one. */
export function retry(outbox, nonce, freshNonce) {
  const pending = outbox.get(nonce);
  if (pending?.status !== 'failed') return null;
  const renamed = pending.error?.code === 'conflict';
  outbox.delete(nonce);
  Object.assign(pending, { status: 'queued', error: null, refusals: 0, notBefore: 0 });
  if (renamed) {
    Object.assign(pending, { nonce: freshNonce, unknown: false, unanswered: 0, cursor: null });
  }
  outbox.set(pending.nonce, pending);
  return pending;
}

/** What survives a reload of the page: enough to find out what became of the message. */
export function freeze(pending) {
  const { nonce, conversation_id, content, created, cursor, error } = pending;
  const status = pending.status === 'failed' ? 'failed' : 'queued';
  return { nonce, conversation_id, content, created, cursor, error, status,
    unknown: inDoubt(pending) };
}

export function thaw(record) {
  const pending = createPending({ ...record, now: record.created });
  return Object.assign(pending, { cursor: record.cursor, status: record.status,
    error: record.error, unknown: record.unknown });
}
