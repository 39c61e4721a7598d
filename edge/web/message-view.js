// One line of a conversation: a message, one still being sent, or a mark between them.
//
// Invariant: a line shows what its row says; what is done to it goes through `act`.
// Left out: which lines there are (rows.js) and where they stand (timeline-view.js).

import { h, iconButton } from './dom.js';
import { avatar, fullTime } from './names.js';
import { contentProblem, normalizeContent } from './text.js';

const MAKERS = {
  start: () => h('li', { class: 'mark', testid: 'history-start' }, 'The beginning.'),
  older: (row, act) => h('li', { class: 'mark', testid: 'older' }, ...(row.error
    ? [row.error, ' ', link('Try again', 'older-retry', act.loadOlder)] : ['Loading…'])),
  gap: () => h('li', { class: 'mark', testid: 'gap' }, 'Fetching missed messages…'),
  day: (row) => h('li', { class: 'rule' }, h('span', {}, row.day)),
  new: () => h('li', { class: 'rule new', testid: 'unread-divider' }, h('span', {}, 'New')),
  message: messageLine,
  pending: pendingLine,
};

/** `act`: loadOlder, edit, saveEdit, cancelEdit, remove, retry and discard. */
export function line(row, act) {
  const node = MAKERS[row.kind](row, act);
  node.dataset.key = row.key;
  return node;
}

function messageLine(row, act) {
  const { message, author, isMine, isHead, mayDelete, isEditing } = row;
  const name = author?.display_name ?? '…';
  const when = h('time', { class: 'when', dateTime: message.at, title: fullTime(message.at) },
    row.time);
  const head = isHead && h('div', { class: 'message-head' },
    h('bdi', { class: 'author', testid: 'message-author' }, name), when);
  const edited = message.edited_at
    ? h('span', { class: 'edited', testid: 'message-edited', title: fullTime(message.edited_at) },
      ' (edited)') : null;
  const content = isEditing ? editForm(message, act)
    : h('div', { class: 'content', dir: 'auto' },
      h('span', { testid: 'message-content' }, message.content), edited);
  const actions = h('div', { class: 'actions' },
    isMine ? iconButton('pencil', 'Edit', 'message-edit', () => act.edit(message.id)) : null,
    mayDelete ? iconButton('trash', 'Delete', 'message-delete', () => act.remove(message)) : null);
  return h('li', { class: `message ${isHead ? 'head' : 'more'}`, testid: 'message',
    data: { id: message.id, author: message.author_id } },
  isHead ? avatar(author) : h('span', { class: 'side' }, when),
  h('div', { class: 'message-body' }, head || null, content),
  isEditing ? null : actions);
}

function editForm(message, act) {
  const input = h('textarea', { testid: 'edit-input', rows: 2, value: message.content,
    label: 'Edit message', dir: 'auto' });
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const save = async () => {
    const text = normalizeContent(input.value);
    try {
      const wrong = contentProblem(text);
      if (wrong) throw new Error(wrong);
      await act.saveEdit(message, text);
    } catch (error) {
      Object.assign(problem, { textContent: error.message, hidden: false });
    }
  };
  const keydown = (event) => {
    if (event.key === 'Escape') act.cancelEdit();
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    save();
  };
  input.addEventListener('keydown', keydown);
  return h('div', { class: 'edit' }, input, problem, h('div', { class: 'edit-end' },
    h('button', { type: 'button', class: 'button small', testid: 'edit-save', on: { click: save } },
      'Save'),
    h('button', { type: 'button', class: 'button small quiet', testid: 'edit-cancel',
      on: { click: act.cancelEdit } }, 'Cancel')));
}

function pendingLine({ pending }, act) {
  const { nonce, status, error, content } = pending;
  const failed = status === 'failed';
  const state = failed
    ? h('div', { class: 'problem', role: 'alert' },
      h('span', { testid: 'pending-error' }, `Not sent: ${error.message} `),
      link('Try again', 'pending-retry', () => act.retry(nonce)), ' ',
      link('Discard', 'pending-discard', () => act.discard(nonce)))
    : null;
  return h('li', { class: `message more pending ${failed ? 'failed' : ''}`, testid: 'pending',
    data: { nonce, state: status } },
  h('span', { class: 'side' }),
  h('div', { class: 'message-body' },
    h('div', { class: 'content', dir: 'auto' }, h('span', { testid: 'pending-content' }, content)),
    state));
}

function link(text, testid, click) {
  return h('button', { type: 'button', class: 'link-button', testid, on: { click } }, text);
}
