// Signing in and registering.
//
// Invariant: a password is held by its input alone and goes nowhere but into the request.
// Left out: what follows; main.js watches the session.

import { field, h, setHidden, setText } from './dom.js';
import { actionForm, explain } from './dialogs.js';

export function createAuthView({ api, entered }) {
  let isNew = false;
  const username = h('input', { testid: 'auth-username', name: 'username', required: true,
    autocomplete: 'username', autocapitalize: 'off', spellcheck: false, maxLength: 32 });
  const password = h('input', { testid: 'auth-password', name: 'password', type: 'password',
    required: true, autocomplete: 'current-password' });
  const displayName = h('input', { testid: 'auth-display-name', name: 'display_name',
    autocomplete: 'nickname', maxLength: 64 });
  const invite = h('input', { testid: 'auth-invite', name: 'invite', autocomplete: 'off',
    autocapitalize: 'off', spellcheck: false });
  const button = h('button', { class: 'button wide', testid: 'auth-submit' });
  const more = [
    field('Display name', displayName, 'Optional; what others see. It can be changed later.'),
    field('Invite code', invite, 'Only if you were given one.'),
  ];
  const hints = [h('span', {}, '2 to 32 of a-z, 0-9, dot and underscore.'),
    h('span', {}, 'At least 8 characters.')];
  const title = h('h1', {});
  const toggle = h('button', { type: 'button', class: 'link-button', testid: 'auth-toggle',
    on: { click: () => { isNew = !isNew; render(); } } });

  const form = actionForm(
    [field('Username', username, hints[0]), field('Password', password, hints[1]), ...more],
    button,
    async () => {
      const name = username.value.trim();
      if (isNew) {
        await api.register({ username: name, password: password.value,
          display_name: displayName.value.trim() || undefined,
          invite: invite.value.trim() || undefined });
      } else {
        await api.signIn(name, password.value).catch((error) => {
          throw error.status === 401 ? new Error('Wrong username or password.')
            : new Error(explain(error));
        });
      }
      entered();
    }, { error: 'auth-error' });

  function render() {
    setText(title, isNew ? 'Create an account' : 'Sign in');
    setText(button, isNew ? 'Create account' : 'Sign in');
    setText(toggle, isNew ? 'I have an account' : 'Create an account');
    password.autocomplete = isNew ? 'new-password' : 'current-password';
    for (const part of [...more, ...hints]) setHidden(part, !isNew);
  }
  render();
  return h('main', { class: 'auth', testid: 'auth' },
    h('div', { class: 'card' }, h('p', { class: 'brand' }, 'Natter'), title, form,
      h('p', { class: 'auth-switch' }, toggle)));
}
