// The page of a person who is signed in: three columns, and what happens between them.
//
// Invariant: one rendering a frame at most, from the state alone; the address names the open
// conversation, so that a reload and the back button do what one expects.
// Left out: the inside of each column.

import { h, iconButton, setHidden, setText } from './dom.js';
import { ask, confirm, createNotices } from './dialogs.js';
import { avatar, avatarStamp, conversationName, unreadText } from './names.js';
import { unreadTotal } from './unread.js';
import { createComposer } from './composer.js';
import { createMembersView } from './members-view.js';
import { createSidebar } from './sidebar.js';
import { createTimelineView } from './timeline-view.js';

const HIDDEN_RENDER_MS = 500;

export function createChatView({ client, api }) {
  const ending = new AbortController();
  const notices = createNotices();
  let isScheduled = false;
  const isWide = matchMedia('(min-width: 1000px)');
  let areMembersShown = isWide.matches;

  const ui = {
    client, api, render,
    notice: notices.show,
    navigate: (id) => { location.hash = id === null ? '' : `#/${id}`; follow(); },
    openDm: async (username) => {
      const { id } = await api.openDm(username.trim());
      await client.announced(id);
      ui.navigate(id);
    },
    showMembers: (shown) => { areMembersShown = shown; render(); },
    focusComposer: () => composer.focus(),
    editLast: () => timeline.editLast(),
    sending: () => timeline.sending(),
  };

  const sidebar = createSidebar(ui);
  const timeline = createTimelineView(ui);
  const composer = createComposer(ui);
  const members = createMembersView(ui);
  const title = h('h1', { class: 'chat-title', testid: 'chat-title' });
  const picture = h('span', { class: 'chat-picture' });
  const rename = iconButton('pencil', 'Rename channel', 'rename-channel', renameChannel);
  const remove = iconButton('trash', 'Delete channel', 'delete-channel', deleteChannel);
  const leave = iconButton('leave', 'Leave channel', 'leave-channel', leaveChannel);
  const toggle = iconButton('people', 'Members', 'toggle-members',
    () => ui.showMembers(!areMembersShown));
  const chat = h('main', { class: 'chat' },
    h('header', { class: 'bar' },
      iconButton('back', 'Conversations', 'back', () => ui.navigate(null), 'narrow-only'),
      picture, title, h('div', { class: 'bar-end' }, rename, remove, leave, toggle)),
    timeline.element, composer.element);
  const empty = h('main', { class: 'empty', testid: 'empty' },
    h('p', {}, 'Choose a conversation, or begin one.'));
  const element = h('div', { class: 'columns', testid: 'chat' },
    sidebar.element, empty, chat, members.element, notices.element);

  const current = () => client.state.conversations.get(client.open);

  function renameChannel() {
    const { id, name } = current();
    ask({ title: 'Rename channel', label: 'Name', value: name, submit: 'Rename', maxLength: 100,
      action: (text) => api.renameChannel(id, text.trim()) });
  }

  function deleteChannel() {
    const { id, name } = current();
    confirm({ title: 'Delete channel', submit: 'Delete',
      text: `“${name}” and everything in it will be gone for everybody.`,
      action: () => api.deleteChannel(id) });
  }

  function leaveChannel() {
    const { id, name } = current();
    confirm({ title: 'Leave channel', submit: 'Leave',
      text: `You will no longer see “${name}” unless its creator adds you again.`,
      action: () => api.removeMember(id, '@me') });
  }

  /** Opens what the address names. */
  function follow() {
    const id = /^#\/(\d+)$/.exec(location.hash)?.[1] ?? null;
    if (id === client.open) return;
    if (!isWide.matches) areMembersShown = false;
    client.show(id);
  }

  function schedule() {
    if (isScheduled) return;
    isScheduled = true;
    // A hidden page gets no frames, but its title still counts what is unread.
    if (document.hidden) setTimeout(render, HIDDEN_RENDER_MS);
    else requestAnimationFrame(render);
  }

  function render() {
    isScheduled = false;
    if (ending.signal.aborted) return;
    const open = current();
    const isShown = Boolean(open?.listed);
    if (client.open !== null && client.link.resumed && !isShown) return ui.navigate(null);
    element.dataset.pane = client.open === null ? 'list' : areMembersShown ? 'members' : 'chat';
    element.dataset.members = String(areMembersShown && isShown);
    setHidden(chat, !isShown);
    setHidden(empty, isShown);
    setHidden(members.element, !isShown || !areMembersShown);
    sidebar.render();
    if (isShown) renderChat(open);
    const unread = unreadTotal(client.state);
    const name = isShown ? `${conversationName(client.state, open)} · Natter` : 'Natter';
    document.title = unread > 0 ? `(${unreadText(unread)}) ${name}` : name;
    return undefined;
  }

  function renderChat(open) {
    const isChannel = open.kind === 'channel';
    const isCreator = isChannel && open.owner_id === client.state.me?.id;
    const partner = client.state.users.get(open.user_id);
    const stamp = isChannel ? '#' : avatarStamp(partner);
    if (picture.dataset.stamp !== stamp) {
      picture.dataset.stamp = stamp;
      picture.replaceChildren(isChannel ? '#' : avatar(partner, 'small'));
    }
    setText(title, conversationName(client.state, open));
    setHidden(rename, !isCreator);
    setHidden(remove, !isCreator);
    setHidden(leave, !isChannel || isCreator);
    timeline.render();
    composer.render();
    if (areMembersShown) members.render();
  }

  const listen = (target, type, handler) =>
    target.addEventListener(type, handler, { signal: ending.signal });
  listen(window, 'hashchange', follow);
  listen(isWide, 'change', () => ui.showMembers(isWide.matches));
  listen(window, 'pagehide', () => client.leaving());
  listen(window, 'online', () => client.wake());
  listen(window, 'focus', () => timeline.afterScroll());
  listen(document, 'visibilitychange', () => {
    if (document.hidden) return;
    client.wake();
    schedule();
  });
  client.changed = schedule;
  client.notice = notices.show;
  follow();
  return { element, render, end: () => ending.abort() };
}
