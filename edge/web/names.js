// How people, conversations and times are written.
//
// Invariant: always something to show, also for a person whose profile has not come yet.
// Left out: fetching that profile (directory.js).

import { h } from './dom.js';

const COLOURS = 8;

export function personName(state, id) {
  return state.users.get(id)?.display_name ?? '…';
}

export function conversationName(state, conversation) {
  if (conversation.kind === 'dm') return personName(state, conversation.user_id);
  return conversation.name ?? '…';
}

/** The picture a person chose, or their initial on a colour of their own. */
export function avatar(user, size = '') {
  const name = user?.display_name ?? '…';
  const colour = user ? Number(BigInt(user.id) % BigInt(COLOURS)) : 0;
  const initial = [...name.trim()][0]?.toUpperCase() ?? '?';
  const box = h('span', { class: `avatar colour-${colour} ${size}`, ariaHidden: 'true' }, initial);
  if (/^https?:\/\//i.test(user?.avatar_url ?? '')) {
    const image = h('img', { alt: '', loading: 'lazy', referrerPolicy: 'no-referrer',
      on: { load: () => box.classList.add('has-image'), error: () => image.remove() } });
    image.src = user.avatar_url;
    box.append(image);
  }
  return box;
}

/** What an avatar looks like, for deciding whether to draw it again. */
export const avatarStamp = (user) => `${user?.display_name}|${user?.avatar_url}`;

const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined,
  { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const clock = (at) => time.format(new Date(at));
export const fullTime = (at) => full.format(new Date(at));
export const dayName = (at) => day.format(new Date(at));

/** Nothing while the connection is there. */
export function linkText({ ready, state }) {
  if (ready) return '';
  return state === 'offline' ? 'Offline. Trying again…' : 'Connecting…';
}

export const unreadText = (count) => (count >= 100 ? '100+' : String(count));
