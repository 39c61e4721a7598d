// Who is in the open conversation; its creator adds and removes people here.
//
// Invariant: what one may not do is not offered; the list follows the events, not the clicks.
// Left out: fetching the list (directory.js).

import { h, iconButton, setHidden, setText, syncList } from './dom.js';
import { actionForm, confirm } from './dialogs.js';
import { avatar, avatarStamp } from './names.js';

const MAX_SHOWN = 500;

export function createMembersView(ui) {
  const { client, api } = ui;
  const title = h('h2', {});
  const list = h('ul', { class: 'members-list', testid: 'members' });
  const more = h('p', { class: 'hint' });
  const input = h('input', { testid: 'add-member-input', maxLength: 32, placeholder: 'Username',
    label: 'Username of the person to add', autocapitalize: 'off', spellcheck: false,
    autocomplete: 'off' });
  const button = h('button', { class: 'button small', testid: 'add-member-submit' }, 'Add');
  const form = actionForm([input], button, async () => {
    await api.addMember(client.open, input.value.trim());
    input.value = '';
  }, { error: 'add-member-error' });
  form.classList.add('add-member');
  const element = h('aside', { class: 'members', label: 'Members' },
    h('header', { class: 'bar' }, title,
      iconButton('close', 'Close', 'members-close', () => ui.showMembers(false), 'narrow-only')),
    form, list, more);

  function row(conversation, id) {
    const user = client.state.users.get(id);
    const isMe = id === client.state.me?.id;
    const isCreator = id === conversation.owner_id;
    const mayRemove = conversation.kind === 'channel' && !isMe
      && conversation.owner_id === client.state.me?.id;
    return { key: id, user, isMe, isCreator, mayRemove, conversation,
      stamp: `${avatarStamp(user)}|${user?.username}|${isCreator}|${mayRemove}` };
  }

  function item({ key, user, isMe, isCreator, mayRemove, conversation }) {
    const name = user?.display_name ?? '…';
    const isChannel = conversation.kind === 'channel';
    const write = () => ui.openDm(user.username).catch((error) => ui.notice(error.message));
    const remove = () => confirm({ title: 'Remove person', submit: 'Remove',
      text: `${name} will no longer see this channel.`,
      action: () => api.removeMember(conversation.id, key) });
    return h('li', { class: 'member', testid: 'member', data: { userId: key } }, avatar(user),
      h('div', { class: 'member-names' },
        h('span', {}, h('bdi', { testid: 'member-name' }, name),
          h('span', { class: 'hint' }, isCreator ? ' · creator' : '', isMe ? ' · you' : '')),
        h('span', { class: 'hint' }, `@${user?.username ?? '…'}`)),
      h('div', { class: 'actions' },
        isChannel && !isMe && user
          ? iconButton('message', `Write to ${name}`, 'member-dm', write) : null,
        mayRemove ? iconButton('close', `Remove ${name}`, 'member-remove', remove) : null));
  }

  function render() {
    const conversation = client.state.conversations.get(client.open);
    if (!conversation) return;
    const { me } = client.state;
    const isChannel = conversation.kind === 'channel';
    const ids = isChannel ? [...conversation.members ?? []] : [me.id, conversation.user_id];
    const all = ids.map((id) => row(conversation, id)).sort((a, b) =>
      (a.user?.display_name ?? '').localeCompare(b.user?.display_name ?? '')
      || (a.key < b.key ? -1 : 1));
    syncList(list, all.slice(0, MAX_SHOWN), item);
    setText(title, isChannel && conversation.members ? `Members: ${ids.length}` : 'Members');
    setText(more, all.length > MAX_SHOWN ? `and ${all.length - MAX_SHOWN} more` : '');
    setHidden(form, !isChannel || conversation.owner_id !== me?.id);
  }

  return { element, render };
}
