// One's own account: profile, password, sessions, leaving.
//
// Invariant: every part saves by itself; a failure in one leaves the others as they are.
// Left out: creating accounts (auth-view.js).

import { field, h, syncList } from './dom.js';
import { actionForm, confirm, explain, openDialog } from './dialogs.js';
import { fullTime } from './names.js';

export function openSettings(ui) {
  openDialog('Settings', 'settings', () => [
    h('div', { class: 'settings' }, profile(ui), password(ui), sessions(ui), leaving(ui)),
  ]);
}

function section(title, ...children) {
  return h('section', {}, h('h3', {}, title), ...children);
}

function profile({ client, api }) {
  const { me } = client.state;
  const name = h('input', { testid: 'profile-display-name', value: me.display_name,
    maxLength: 64 });
  const url = h('input', { testid: 'profile-avatar-url', type: 'url', maxLength: 512,
    value: me.avatar_url ?? '', placeholder: 'https://' });
  const username = h('input', { testid: 'profile-username', value: me.username, maxLength: 32,
    autocapitalize: 'off', spellcheck: false, autocomplete: 'off' });
  const button = h('button', { class: 'button', testid: 'profile-save' }, 'Save profile');
  return section('Profile', actionForm([
    field('Display name', name),
    field('Username', username, 'Others find you by it. The old one becomes free at once.'),
    field('Avatar address', url, 'A picture on the web, or nothing.'),
  ], button, async () => {
    const held = client.state.me;
    const wanted = { display_name: name.value.trim(), username: username.value.trim(),
      avatar_url: url.value.trim() || null };
    const changes = Object.fromEntries(Object.entries(wanted)
      .filter(([key, value]) => value !== (held[key] ?? null)));
    if (Object.keys(changes).length === 0) return 'Nothing has changed.';
    client.profileChanged(await api.changeProfile(changes));
    return 'Saved.';
  }, { error: 'profile-error', done: 'profile-status' }));
}

function password({ api }) {
  const old = h('input', { testid: 'password-old', type: 'password',
    autocomplete: 'current-password' });
  const fresh = h('input', { testid: 'password-new', type: 'password',
    autocomplete: 'new-password' });
  const button = h('button', { class: 'button', testid: 'password-save' }, 'Change password');
  return section('Password', actionForm([
    field('Current password', old),
    field('New password', fresh, 'At least 8 characters. Your other sessions end.'),
  ], button, async () => {
    await api.changePassword(old.value, fresh.value).catch((error) => {
      throw error.code === 'forbidden' ? new Error('The current password is wrong.') : error;
    });
    old.value = '';
    fresh.value = '';
    return 'Changed.';
  }, { error: 'password-error', done: 'password-status' }));
}

function sessions({ client, api }) {
  const list = h('ul', { class: 'sessions', testid: 'sessions' });
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const show = (error) => Object.assign(problem,
    { hidden: !error, textContent: error ? explain(error) : '' });
  const load = async () => {
    try {
      const answer = await api.sessions();
      const rows = answer.sessions.map((session) =>
        ({ key: session.id, stamp: JSON.stringify(session), session }));
      syncList(list, rows, ({ session }) => row(session));
      show(null);
    } catch (error) {
      show(error);
    }
  };
  const row = (session) => {
    const isThis = session.current ?? session.id === client.state.sessionId;
    const used = session.last_used_at ?? session.created_at;
    const revoke = async () => {
      try {
        await api.revokeSession(session.id);
        await load();
      } catch (error) {
        show(error);
      }
    };
    return h('li', { testid: 'session', data: { id: session.id, current: isThis } },
      h('span', {}, isThis ? 'This session' : 'Session',
        h('span', { class: 'hint' }, used ? ` last used ${fullTime(used)}` : '')),
      isThis ? null : h('button', { type: 'button', class: 'button small', testid: 'session-revoke',
        on: { click: revoke } }, 'End'));
  };
  load();
  return section('Sessions', list, problem);
}

function leaving({ api, client }) {
  const click = () => {
    const waiting = client.state.outbox.size;
    if (waiting === 0) return void api.signOut().catch(() => {});
    confirm({ title: 'Sign out', submit: 'Sign out',
      text: `${waiting} message(s) have not been sent and would be given up.`,
      action: () => {
        client.discardAll();
        return api.signOut().catch(() => {});
      } });
  };
  return section('Leaving',
    h('button', { type: 'button', class: 'button danger', testid: 'sign-out', on: { click } },
      'Sign out'));
}
