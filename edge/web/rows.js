// What a conversation shows, line by line: messages, days, marks and what is still being sent.
//
// Invariant: a row's stamp changes exactly when the row looks different. Pure: the same state gives
// the same rows.
// Left out: elements (message-view.js, timeline-view.js).

import { compare } from './ids.js';
import { avatarStamp, clock, dayName } from './names.js';

const TOGETHER_MS = 5 * 60_000;

/**
 * `marker`: the read marker when the conversation was opened, above which messages are new, or
 * null; `editing`: the id of the message in edit, or null; `older`: {busy, error} or undefined.
 */
export function rows(state, conversation, { marker, editing, older }) {
  const { timeline } = conversation;
  const result = [top(timeline, older)];
  const gaps = [...timeline.gaps];
  let previous = null;
  let isMarked = marker === null;
  const start = (row) => {
    result.push(row);
    previous = null;
  };
  for (const message of timeline.messages) {
    while (gaps.length > 0 && compare(gaps[0].to, message.id) <= 0) start(gapRow(gaps.shift()));
    const day = dayName(message.at);
    if (!previous || dayName(previous.at) !== day) start({ kind: 'day', key: `day ${day}`, day });
    const isNew = !isMarked && message.author_id !== state.me?.id
      && compare(message.id, marker) > 0;
    if (isNew) {
      isMarked = true;
      start({ kind: 'new', key: 'new', stamp: '' });
    }
    result.push(messageRow(state, conversation, message, previous, editing));
    previous = message;
  }
  for (const gap of gaps) start(gapRow(gap));
  for (const pending of state.outbox.values()) {
    if (pending.conversation_id !== conversation.id) continue;
    const { nonce, status, error, content } = pending;
    result.push({ kind: 'pending', key: `p ${nonce}`, pending,
      stamp: `${status}|${error?.code}|${content}` });
  }
  return unique(result);
}

/** A day may be opened twice around a gap; its second line needs a key of its own. */
function unique(result) {
  const seen = new Map();
  for (const row of result) {
    const times = seen.get(row.key) ?? 0;
    seen.set(row.key, times + 1);
    if (times > 0) row.key += ` ${times}`;
  }
  return result;
}

function top(timeline, older) {
  if (timeline.start) return { kind: 'start', key: 'start', stamp: '' };
  return { kind: 'older', key: 'older', stamp: older?.error ?? '', error: older?.error };
}

const gapRow = (gap) => ({ kind: 'gap', key: `gap ${gap.to}`, stamp: '' });

function messageRow(state, conversation, message, previous, editing) {
  const author = state.users.get(message.author_id);
  const isMine = message.author_id === state.me?.id;
  const isHead = !previous || previous.author_id !== message.author_id
    || new Date(message.at) - new Date(previous.at) > TOGETHER_MS;
  const isEdited = editing === message.id;
  const mayDelete = isMine || conversation.owner_id === state.me?.id;
  const shown = isEdited ? 'editing' : `${message.edited_at}|${message.content}`;
  return { kind: 'message', key: `m ${message.id}`, message, author, isMine, isHead, mayDelete,
    isEditing: isEdited, time: clock(message.at),
    stamp: `${isHead}|${mayDelete}|${avatarStamp(author)}|${shown}` };
}
