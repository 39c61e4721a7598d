// The messages of the open conversation, and where the person has scrolled to.
//
// Invariant: what is being read stays where it is, whatever comes above or below; only one who
// looks at the newest message is carried along, and only then is it marked as read.
// Left out: the content of a line (message-view.js, rows.js).

import { h, icon, setHidden, setText, syncList } from './dom.js';
import { line } from './message-view.js';
import { rows } from './rows.js';
import { confirm } from './dialogs.js';
import { unreadText } from './names.js';

/** So close to an end counts as being there. */
const NEAR_END = 60;
const NEAR_START = 600;

export function createTimelineView(ui) {
  const { client, api } = ui;
  const list = h('ol', { class: 'lines', testid: 'lines' });
  const scroller = h('div', { class: 'timeline', testid: 'timeline', role: 'log', tabIndex: 0,
    label: 'Messages' }, list);
  const jumpText = h('span', {});
  const jump = h('button', { type: 'button', class: 'jump', testid: 'jump-newest', hidden: true,
    on: { click: () => { toEnd(); afterScroll(); } } }, icon('down'), jumpText);
  const element = h('div', { class: 'timeline-box' }, scroller, jump);

  let shownId = null;
  let marker = null;
  let editing = null;
  let isAtEnd = true;
  /** Set until a conversation just opened has been placed. */
  let isFresh = false;

  const act = {
    loadOlder: () => client.loadOlder(shownId),
    edit: (id) => setEditing(id),
    cancelEdit: () => setEditing(null),
    saveEdit: async (message, text) => {
      if (text !== message.content) {
        await api.editMessage(message.conversation_id, message.id, text);
      }
      setEditing(null);
    },
    remove: (message) => confirm({ title: 'Delete message', submit: 'Delete',
      text: `“${excerpt(message.content)}” will be gone for everybody.`,
      action: () => api.deleteMessage(message.conversation_id, message.id) }),
    retry: (nonce) => client.retry(nonce),
    discard: (nonce) => client.discard(nonce),
  };

  function setEditing(id) {
    editing = id;
    ui.render();
    if (id === null) return void ui.focusComposer();
    const input = list.querySelector('[data-testid="edit-input"]');
    input?.focus();
    input?.setSelectionRange(input.value.length, input.value.length);
    input?.scrollIntoView({ block: 'nearest' });
  }

  const conversation = () => client.state.conversations.get(shownId);
  const distanceToEnd = () =>
    scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const toEnd = () => { scroller.scrollTop = scroller.scrollHeight; };

  function render() {
    const open = client.state.conversations.get(client.open);
    if (client.open !== shownId) begin(open);
    if (!open) return;
    const anchor = isAtEnd ? null : findAnchor();
    if (isAtEnd && !isFresh) client.tidy(open);
    const shown = rows(client.state, open,
      { marker, editing, older: client.older.get(open.id) });
    syncList(list, shown, (row) => line(row, act));
    place(anchor);
    isFresh &&= open.timeline.messages.length === 0 && !open.timeline.start;
    afterScroll();
  }

  function begin(open) {
    shownId = client.open;
    editing = null;
    isAtEnd = true;
    isFresh = true;
    marker = open && open.unread > 0 ? open.read_id ?? '0' : null;
    syncList(list, [], null);
  }

  function place(anchor) {
    const divider = isFresh && list.querySelector('[data-testid="unread-divider"]');
    if (divider) {
      toEnd();
      const above = divider.offsetTop - scroller.scrollTop;
      if (above < 0) scroller.scrollTop = Math.max(0, divider.offsetTop - 80);
    } else if (isAtEnd) {
      toEnd();
    } else if (anchor?.node.isConnected) {
      scroller.scrollTop += anchor.node.offsetTop - anchor.top;
    }
  }

  /** The first line on the screen that is a message, and where it stands. */
  function findAnchor() {
    const top = scroller.scrollTop;
    for (const node of list.children) {
      const isMessage = node.classList.contains('message');
      if (isMessage && node.offsetTop + node.offsetHeight > top) {
        return { node, top: node.offsetTop };
      }
    }
    return null;
  }

  function afterScroll() {
    const open = conversation();
    if (!open) return;
    isAtEnd = distanceToEnd() < NEAR_END;
    const { timeline } = open;
    const older = client.older.get(open.id);
    const needsOlder = scroller.scrollTop < NEAR_START && !timeline.start && client.link.ready;
    if (needsOlder && !older?.busy && !older?.error) client.loadOlder(open.id);
    setHidden(jump, isAtEnd);
    setText(jumpText, open.unread > 0 ? `${unreadText(open.unread)} new` : 'Newest');
    const newest = timeline.messages.at(-1);
    const isSeen = isAtEnd && open.unread > 0 && newest && client.link.resumed
      && document.visibilityState === 'visible' && document.hasFocus();
    if (isSeen) client.seen(open, newest.id);
  }

  scroller.addEventListener('scroll', afterScroll, { passive: true });
  new ResizeObserver(() => { if (isAtEnd) toEnd(); }).observe(scroller);
  return { element, render, afterScroll,
    /** One who writes has seen what was new and looks at the end. */
    sending: () => {
      marker = null;
      isAtEnd = true;
      toEnd();
    },
    editLast: () => {
      const mine = conversation()?.timeline.messages
        .findLast((message) => message.author_id === client.state.me?.id);
      if (mine) setEditing(mine.id);
    } };
}

function excerpt(content) {
  const characters = [...content];
  return characters.length > 80 ? `${characters.slice(0, 80).join('')}…` : content;
}
