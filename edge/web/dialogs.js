// Small windows: asking for one value, asking whether one is sure, and passing notices.
//
// Invariant: a dialog closes when its action has succeeded; a failure is shown in it and changes
// nothing that was typed.
// Left out: the larger settings window (settings-view.js).

import { field, h, icon } from './dom.js';

/** Opens a window with a title; `close` is given to those who fill it. */
export function openDialog(title, testid, fill) {
  const dialog = h('dialog', { class: 'dialog', testid, ariaLabel: title });
  const close = () => dialog.close();
  dialog.append(
    h('header', { class: 'dialog-head' }, h('h2', {}, title),
      h('button', { type: 'button', class: 'icon-button', label: 'Close',
        testid: `${testid}-close`, on: { click: close } }, icon('close'))),
    ...fill(close));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks for one line of text and does `action` with it. */
export function ask({ title, label, value = '', hint, submit, maxLength, action }) {
  openDialog(title, 'dialog', (close) => {
    const input = h('input', { type: 'text', testid: 'dialog-input', required: true, value,
      autocomplete: 'off', autocapitalize: 'off', spellcheck: false, maxLength });
    const text = h('button', { class: 'button', testid: 'dialog-submit' }, submit);
    return [actionForm([field(label, input, hint)], text, async () => {
      await action(input.value);
      close();
    })];
  });
}

/** Asks for consent and does `action`. */
export function confirm({ title, text, submit, action }) {
  openDialog(title, 'dialog', (close) => {
    const yes = h('button', { class: 'button danger', testid: 'dialog-submit' }, submit);
    return [actionForm([h('p', {}, text)], yes, async () => {
      await action();
      close();
    })];
  });
}

/** A form that does one thing at a time and shows why it could not. */
export function actionForm(fields, button, action, { error = 'dialog-error', done } = {}) {
  const problem = h('p', { class: 'problem', testid: error, role: 'alert', hidden: true });
  const success = h('p', { class: 'success', testid: done, role: 'status', hidden: true });
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    success.hidden = true;
    try {
      const text = await action();
      if (text) Object.assign(success, { textContent: text, hidden: false });
    } catch (reason) {
      Object.assign(problem, { textContent: explain(reason), hidden: false });
    }
    button.disabled = false;
  };
  button.type = 'submit';
  return h('form', { class: 'form', noValidate: true, on: { submit } },
    ...fields, problem, success, h('div', { class: 'form-end' }, button));
}

const WORDS = {
  username_taken: 'That username is taken.',
  unreachable: 'The server cannot be reached. Check the connection and try again.',
  not_owner: 'Only the creator of the channel may do that.',
  unknown_outcome: 'It is not known whether that worked. Look before trying again.',
};

export function explain(error) {
  if (error.code === 'rate_limited') {
    const seconds = Math.ceil((error.retryAfterMs ?? 1000) / 1000);
    return `Too fast. Try again in ${seconds} s.`;
  }
  return WORDS[error.code] ?? error.message ?? 'That did not work.';
}

const NOTICE_MS = 6000;
const MAX_NOTICES = 4;

/** A place for notices that pass by themselves. */
export function createNotices() {
  const element = h('div', { class: 'notices', role: 'status' });
  const show = (text) => {
    const notice = h('p', { class: 'notice', testid: 'notice' }, text);
    element.append(notice);
    while (element.childElementCount > MAX_NOTICES) element.firstChild.remove();
    setTimeout(() => notice.remove(), NOTICE_MS);
  };
  return { element, show };
}
