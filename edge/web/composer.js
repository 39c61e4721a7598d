// Where a message is written, and who else is writing.
//
// Invariant: what was typed stays with its conversation until it is sent or removed by the person.
// Left out: what becomes of a sent message (outbox.js).

import { h, iconButton, setHidden, setText } from './dom.js';
import { conversationName, linkText, personName } from './names.js';
import { contentProblem, normalizeContent } from './text.js';

const MAX_HEIGHT = 200;

export function createComposer(ui) {
  const { client } = ui;
  const drafts = new Map();
  let shownId = null;

  const input = h('textarea', { testid: 'composer-input', rows: 1, dir: 'auto',
    label: 'Message', on: { input: typed, keydown } });
  const button = iconButton('send', 'Send', 'composer-send', send, 'send');
  const problem = h('p', { class: 'problem', testid: 'composer-problem', role: 'alert',
    hidden: true });
  const typing = h('p', { class: 'typing', testid: 'typing' });
  const element = h('div', { class: 'composer' }, problem,
    h('div', { class: 'composer-box' }, input, button), typing);

  function typed() {
    drafts.set(shownId, input.value);
    setHidden(problem, true);
    grow();
    if (input.value.trim() !== '') client.typing(shownId);
  }

  function keydown(event) {
    if (event.key === 'ArrowUp' && input.value === '') {
      event.preventDefault();
      return ui.editLast();
    }
    const isSend = event.key === 'Enter' && !event.shiftKey && !event.isComposing;
    if (!isSend) return undefined;
    event.preventDefault();
    return send();
  }

  function send() {
    const content = normalizeContent(input.value);
    if (content === '') return input.focus();
    const wrong = contentProblem(content);
    if (wrong) return void Object.assign(problem, { textContent: wrong, hidden: false });
    input.value = '';
    drafts.delete(shownId);
    setHidden(problem, true);
    grow();
    ui.sending();
    client.send(shownId, content);
    return input.focus();
  }

  function grow() {
    input.style.height = 'auto';
    input.style.height = `${Math.min(MAX_HEIGHT, input.scrollHeight)}px`;
  }

  function render() {
    const conversation = client.state.conversations.get(client.open);
    if (client.open !== shownId) {
      shownId = client.open;
      input.value = drafts.get(shownId) ?? '';
      setHidden(problem, true);
      grow();
      if (matchMedia('(hover: hover)').matches) input.focus();
    }
    if (!conversation) return;
    const placeholder = `Message ${conversationName(client.state, conversation)}`;
    if (input.placeholder !== placeholder) input.placeholder = placeholder;
    setText(typing, typingText(conversation));
  }

  function typingText(conversation) {
    if (!client.link.ready) return linkText(client.link);
    const now = Date.now();
    const ids = [...conversation.typing].filter(([, until]) => until > now).map(([id]) => id);
    const names = ids.slice(0, 3).map((id) => personName(client.state, id));
    if (names.length === 0) return '';
    if (ids.length > 3) return 'Several people are typing…';
    return `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} typing…`;
  }

  return { element, render, focus: () => input.focus() };
}
