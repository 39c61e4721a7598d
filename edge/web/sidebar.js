// The list of conversations, and oneself below it.
//
// Invariant: every conversation of the person is listed, channels first, each part by name.
// Left out: what is inside a conversation.

import { h, iconButton, setText, syncList } from './dom.js';
import { ask } from './dialogs.js';
import { avatar, avatarStamp, conversationName, linkText, unreadText } from './names.js';
import { openSettings } from './settings-view.js';

export function createSidebar(ui) {
  const { client, api } = ui;
  const channels = h('ul', { class: 'conversations', testid: 'channel-list' });
  const people = h('ul', { class: 'conversations', testid: 'dm-list' });
  const link = h('p', { class: 'link', testid: 'link-status', role: 'status' });
  const own = h('div', { class: 'own' });
  const element = h('nav', { class: 'sidebar', label: 'Conversations' },
    h('header', { class: 'bar' }, h('span', { class: 'brand' }, 'Natter')),
    h('div', { class: 'sidebar-lists' },
      head('Channels', 'New channel', 'new-channel', newChannel), channels,
      head('Direct messages', 'New direct message', 'new-dm', newDm), people),
    link, own);

  function head(title, label, testid, click) {
    return h('div', { class: 'list-head' }, h('h2', {}, title),
      iconButton('plus', label, testid, click));
  }

  function newChannel() {
    ask({ title: 'New channel', label: 'Name', submit: 'Create', maxLength: 100,
      action: async (name) => {
        const channel = await api.createChannel(name.trim());
        await client.announced(channel.id);
        ui.navigate(channel.id);
      } });
  }

  function newDm() {
    ask({ title: 'New direct message', label: 'Username', submit: 'Open', maxLength: 32,
      action: (username) => ui.openDm(username) });
  }

  function row(conversation) {
    const name = conversationName(client.state, conversation);
    const partner = client.state.users.get(conversation.user_id);
    const isOpen = conversation.id === client.open;
    const { unread, kind, id } = conversation;
    return { key: id, name, kind, unread, isOpen, partner,
      stamp: `${name}|${unread}|${isOpen}|${kind === 'dm' ? avatarStamp(partner) : ''}` };
  }

  function item({ key, name, kind, unread, isOpen, partner }) {
    const badge = unread > 0
      ? h('span', { class: 'badge', testid: 'unread-badge', title: `${unread} unread` },
        unreadText(unread)) : null;
    const classes = `conversation ${isOpen ? 'open' : ''} ${unread > 0 ? 'unread' : ''}`;
    return h('li', {}, h('button', { type: 'button', class: classes, testid: 'conversation',
      data: { id: key, kind }, ariaCurrent: isOpen ? 'page' : null,
      on: { click: () => ui.navigate(key) } },
    kind === 'dm' ? avatar(partner, 'small')
      : h('span', { class: 'hash', ariaHidden: 'true' }, '#'),
    h('bdi', { class: 'conversation-name', testid: 'conversation-name' }, name), badge));
  }

  function renderOwn() {
    const { me } = client.state;
    const rows = me ? [{ key: 'me', stamp: `${avatarStamp(me)}|${me.username}` }] : [];
    syncList(own, rows, () => h('div', { class: 'own-row' }, avatar(me),
      h('div', { class: 'own-names' }, h('bdi', { testid: 'own-name' }, me.display_name),
        h('span', { class: 'hint', testid: 'own-username' }, `@${me.username}`)),
      iconButton('sliders', 'Settings', 'open-settings', () => openSettings(ui))));
  }

  function renderLink() {
    const { state, url, ready } = client.link;
    link.dataset.state = ready ? 'live' : state;
    link.dataset.edge = url ?? '';
    setText(link, linkText(client.link));
  }

  function render() {
    const all = [...client.state.conversations.values()].filter(({ listed }) => listed).map(row);
    all.sort((a, b) => a.name.localeCompare(b.name) || (a.key < b.key ? -1 : 1));
    syncList(channels, all.filter(({ kind }) => kind === 'channel'), item);
    syncList(people, all.filter(({ kind }) => kind === 'dm'), item);
    renderOwn();
    renderLink();
  }

  return { element, render };
}
