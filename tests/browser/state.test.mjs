// The page's own rules, without a browser: what it holds, what it resumes from, what it repeats.
//
// Left out: sockets, storage and the document; two-people.mjs goes through those.

import assert from 'node:assert/strict';
import test from 'node:test';

import { compare } from '../../edge/web/ids.js';
import * as states from '../../edge/web/state.js';
import * as outboxes from '../../edge/web/outbox.js';
import { moveMarker, unconfirmedMarkers } from '../../edge/web/unread.js';
import { trim } from '../../edge/web/timeline.js';
import { contentProblem, normalizeContent } from '../../edge/web/text.js';

const ME = { id: '1', username: 'me', display_name: 'Me', avatar_url: null, bot: false };
const YOU = { id: '2', username: 'you', display_name: 'You', avatar_url: null, bot: false };
const CHANNEL = '900';
const NOW = 1_000_000;

const at = (id) => new Date(Date.UTC(2026, 0, 1) + Number(id)).toISOString();
const message = (id, more = {}) => ({ id: String(id), conversation_id: CHANNEL, author_id: YOU.id,
  content: `text ${id}`, at: at(id), edited_at: null, nonce: null, ...more });
const summary = (more = {}) => ({ id: CHANNEL, kind: 'channel', name: 'Room', owner_id: ME.id,
  last_id: null, read_id: null, unread: 0, ...more });
const readyData = (...conversations) => ({ user: ME, session_id: 's', conversations,
  users: [ME, YOU], edges: [], limits: { send_per_s: 5, send_burst: 10 } });

function begin(...conversations) {
  const state = states.createState();
  states.ready(state, readyData(...conversations), {}, NOW);
  return state;
}

const room = (state) => state.conversations.get(CHANNEL);
const ids = (state) => room(state).timeline.messages.map(({ id }) => id);
const create = (state, id, more) =>
  states.dispatch(state, 'MESSAGE_CREATE', message(id, more), NOW);
const edit = (state, id, target, content) => states.dispatch(state, 'MESSAGE_UPDATE',
  { id: String(id), conversation_id: CHANNEL, message_id: String(target), content,
    author_id: YOU.id, at: at(id) }, NOW);
const remove = (state, id, target) => states.dispatch(state, 'MESSAGE_DELETE',
  { id: String(id), conversation_id: CHANNEL, message_id: String(target), author_id: YOU.id,
    at: at(id) }, NOW);
const gap = (state, from, to) => states.dispatch(state, 'GAP',
  { conversation_id: CHANNEL, from: String(from), to: String(to) }, NOW);
const page = (messages, more = {}) =>
  ({ messages, users: [], has_more: false, next: null, ...more });
const older = (state, bound, answer) =>
  states.olderPage(state, room(state), String(bound), answer, NOW);

test('ids compare as 64 bit numbers', () => {
  assert.ok(compare('9', '10') < 0);
  assert.ok(compare('18446744073709551615', '18446744073709551614') > 0);
  assert.equal(compare('5', '5'), 0);
});

test('READY without a cursor: what it shows is held and is where the entries go on', () => {
  const state = begin(summary({ last_id: '12', read_id: '10', unread: 1,
    messages: [message(9), message(11)] }));
  assert.deepEqual(ids(state), ['9', '11']);
  assert.deepEqual(states.cursors(state), { [CHANNEL]: '12' });
  assert.equal(room(state).unread, 1);
});

test('READY with null last_id gives cursor "0" and a history that is known to be empty', () => {
  const state = begin(summary());
  assert.deepEqual(states.cursors(state), { [CHANNEL]: '0' });
  assert.equal(room(state).timeline.start, true);
});

test('READY with a cursor given: the window stays, the cursor does not move', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  const given = states.cursors(state);
  const renamed = summary({ name: 'New name', last_id: '8', unread: 2 });
  states.ready(state, readyData(renamed), given, NOW);
  assert.deepEqual(ids(state), ['5']);
  assert.equal(room(state).cursor, '5');
  assert.equal(room(state).name, 'New name');
  assert.equal(room(state).unread, 2);
  create(state, 7);
  create(state, 8);
  assert.deepEqual(ids(state), ['5', '7', '8']);
  assert.equal(room(state).unread, 2, 'replayed messages were in the count already');
  create(state, 9);
  assert.equal(room(state).unread, 3);
});

test('READY for a conversation without a cursor begins its window anew', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  const last = summary({ last_id: '90', messages: [message(90)] });
  states.ready(state, readyData(last), {}, NOW);
  assert.deepEqual(ids(state), ['90']);
  assert.equal(room(state).cursor, '90');
});

test('a conversation that READY lacks stays until CONVERSATION_REMOVE', () => {
  const state = begin(summary({ last_id: '5' }));
  states.ready(state, readyData(), states.cursors(state), NOW);
  assert.ok(room(state));
  states.dispatch(state, 'CONVERSATION_REMOVE', { conversation_id: CHANNEL }, NOW);
  assert.equal(room(state), undefined);
});

test('an entry takes effect once', () => {
  const state = begin(summary());
  create(state, 1);
  create(state, 1);
  create(state, 3);
  create(state, 2);
  assert.deepEqual(ids(state), ['1', '3'], 'ids only rise within a conversation');
  assert.equal(room(state).cursor, '3');
  assert.equal(room(state).unread, 2);
});

test('a message in a page and in an event is held once', () => {
  const state = begin(summary({ last_id: '5' }));
  create(state, 6);
  older(state, 6, page([message(4), message(5), message(6)]));
  assert.deepEqual(ids(state), ['4', '5', '6']);
});

test('every kind of entry moves the cursor', () => {
  const state = begin(summary({ last_id: '5' }));
  const base = { conversation_id: CHANNEL, author_id: ME.id, at: at(1) };
  states.dispatch(state, 'MEMBER_ADD', { ...base, id: '6', user_id: YOU.id }, NOW);
  assert.equal(room(state).cursor, '6');
  states.dispatch(state, 'CHANNEL_UPDATE', { ...base, id: '7', name: 'Other' }, NOW);
  assert.equal(room(state).cursor, '7');
  assert.equal(room(state).name, 'Other');
  states.dispatch(state, 'CHANNEL_DELETE', { ...base, id: '8' }, NOW);
  assert.equal(room(state).cursor, '8');
});

test('what is not an entry moves no cursor', () => {
  const state = begin(summary({ last_id: '5' }));
  states.dispatch(state, 'TYPING', { conversation_id: CHANNEL, user_id: YOU.id }, NOW);
  states.dispatch(state, 'READ', { conversation_id: CHANNEL, id: '5' }, NOW);
  states.dispatch(state, 'CONVERSATION_ADD', summary({ last_id: '9' }), NOW);
  gap(state, 5, 9);
  assert.equal(room(state).cursor, '5');
});

test('edits and deletions', () => {
  const state = begin(summary());
  create(state, 1);
  create(state, 2);
  edit(state, 3, 1, 'better');
  assert.equal(room(state).timeline.messages[0].content, 'better');
  assert.equal(room(state).timeline.messages[0].edited_at, at(3));
  remove(state, 4, 2);
  assert.deepEqual(ids(state), ['1']);
  assert.equal(room(state).unread, 1);
});

test('a page older than an edit or a deletion does not bring back what was', () => {
  const state = begin(summary({ last_id: '5' }));
  edit(state, 6, 4, 'second');
  remove(state, 7, 3);
  older(state, 6, page([message(3), message(4)]));
  assert.deepEqual(ids(state), ['4']);
  assert.equal(room(state).timeline.messages[0].content, 'second');
});

test('a page newer than an edit still to come is not undone by it', () => {
  const state = begin(summary({ last_id: '5' }));
  older(state, 6, page([message(4, { content: 'third', edited_at: at(7) })]));
  edit(state, 6, 4, 'second');
  assert.equal(room(state).timeline.messages[0].content, 'third');
  edit(state, 7, 4, 'third');
  assert.equal(room(state).timeline.messages[0].content, 'third');
});

test('a replayed message that was deleted later is not shown', () => {
  const state = begin(summary());
  create(state, 1, { content: '' });
  remove(state, 2, 1);
  assert.deepEqual(ids(state), []);
  assert.equal(room(state).unread, 0);
  assert.equal(room(state).cursor, '2');
});

test('older pages: next, short pages and the beginning', () => {
  const state = begin(summary({ last_id: '50', messages: [message(50)] }));
  assert.equal(room(state).timeline.low, '50');
  assert.ok(older(state, 50, page([message(40)], { has_more: true, next: '30' })));
  assert.equal(room(state).timeline.low, '30');
  assert.ok(!older(state, 50, page([message(49)])), 'an answer for another window');
  assert.ok(older(state, 30, page([], { has_more: true, next: '20' })));
  assert.ok(older(state, 20, page([message(2)])));
  assert.deepEqual(ids(state), ['2', '40', '50']);
  assert.equal(room(state).timeline.start, true);
});

test('a trimmed window gets back what it let go', () => {
  const state = begin(summary());
  for (let id = 1; id <= 10; id += 1) create(state, id);
  trim(room(state).timeline, 3);
  assert.deepEqual(ids(state), ['8', '9', '10']);
  assert.equal(room(state).timeline.start, false);
  older(state, 8, page([6, 7].map((id) => message(id)), { has_more: true, next: '6' }));
  assert.deepEqual(ids(state), ['6', '7', '8', '9', '10']);
});

test('a GAP is remembered over a reconnect, while the cursor goes on above it', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  gap(state, 5, 100);
  create(state, 100);
  assert.deepEqual(states.cursors(state), { [CHANNEL]: '100' });
  states.ready(state, readyData(summary({ last_id: '101' })), states.cursors(state), NOW);
  create(state, 101);
  assert.deepEqual(room(state).timeline.gaps, [{ from: '5', to: '100' }]);
});

test('a GAP is paged by entries until they reach its end', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  gap(state, 5, 100);
  create(state, 100);
  edit(state, 101, 8, 'edited later');
  const entry = (t, d) => ({ t, d: { conversation_id: CHANNEL, ...d } });
  const [range] = room(state).timeline.gaps;
  states.gapPage(state, room(state), range, { users: [], has_more: true, next: '9', entries: [
    entry('MESSAGE_CREATE', message(6)), entry('MESSAGE_CREATE', message(8)),
    entry('MEMBER_ADD', { id: '9', user_id: YOU.id }),
  ] }, NOW);
  assert.deepEqual(room(state).timeline.gaps, [{ from: '9', to: '100' }]);
  states.gapPage(state, room(state), range, { users: [], has_more: true, next: '101', entries: [
    entry('MESSAGE_DELETE', { id: '50', message_id: '6' }),
    entry('MESSAGE_CREATE', message(99)), entry('MESSAGE_CREATE', message(100)),
    entry('MESSAGE_UPDATE', { id: '101', message_id: '8', content: 'edited later', at: at(101) }),
  ] }, NOW);
  assert.deepEqual(room(state).timeline.gaps, []);
  assert.deepEqual(ids(state), ['5', '8', '99', '100']);
  assert.equal(room(state).timeline.messages[1].content, 'edited later');
  assert.equal(room(state).cursor, '101');
});

test('two GAPs of the same place are one, two of different places are two', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  gap(state, 5, 100);
  gap(state, 5, 120);
  assert.deepEqual(room(state).timeline.gaps, [{ from: '5', to: '120' }]);
  create(state, 120);
  gap(state, 120, 300);
  assert.deepEqual(room(state).timeline.gaps,
    [{ from: '5', to: '120' }, { from: '120', to: '300' }]);
});

test('a window let go below a GAP, or within it, keeps the rest of the GAP', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  gap(state, 5, 100);
  create(state, 100);
  const [range] = room(state).timeline.gaps;
  const entries = [6, 7, 8].map((id) => ({ t: 'MESSAGE_CREATE', d: message(id) }));
  states.gapPage(state, room(state), range,
    { users: [], entries, has_more: true, next: '8' }, NOW);
  trim(room(state).timeline, 3);
  assert.deepEqual(ids(state), ['7', '8', '100']);
  assert.deepEqual(room(state).timeline.gaps, [{ from: '8', to: '100' }]);
  trim(room(state).timeline, 1);
  assert.deepEqual(room(state).timeline.gaps, []);
  assert.equal(room(state).timeline.low, '100');
});

test('a GAP with to "0" has nothing to page', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  gap(state, 5, 0);
  assert.deepEqual(room(state).timeline.gaps, []);
});

test('a GAP below which nothing is held is older history', () => {
  const state = begin(summary({ last_id: '5' }));
  gap(state, 5, 100);
  create(state, 100);
  assert.deepEqual(room(state).timeline.gaps, []);
  assert.equal(room(state).timeline.low, '100');
  assert.deepEqual(ids(state), ['100']);
});

test('a cursor above the newest entry begins again from "0"', () => {
  const state = begin(summary({ last_id: '500', messages: [message(500)] }));
  gap(state, 0, 90);
  create(state, 90);
  create(state, 91);
  assert.deepEqual(ids(state), ['90', '91']);
  assert.equal(room(state).cursor, '91');
});

test('only CONVERSATION_REMOVE takes a conversation away, a removal of oneself does not', () => {
  const state = begin(summary({ last_id: '5' }));
  const base = { conversation_id: CHANNEL, author_id: YOU.id, user_id: ME.id, at: at(1) };
  states.dispatch(state, 'MEMBER_REMOVE', { ...base, id: '6' }, NOW);
  states.dispatch(state, 'MEMBER_ADD', { ...base, id: '7' }, NOW);
  assert.ok(room(state));
});

test('members: what changed while the list was under way counts', () => {
  const state = begin(summary({ last_id: '5' }));
  states.membersPage(state, room(state), { member_ids: ['1', '2'] },
    [{ user_id: '2', joined: false }, { user_id: '3', joined: true }]);
  assert.deepEqual([...room(state).members], ['1', '3']);
  assert.ok(state.missingUsers.has('3'));
});

test('unread: own messages do not count, reading moves forward only', () => {
  const state = begin(summary());
  create(state, 1);
  create(state, 2, { author_id: ME.id });
  create(state, 3);
  assert.equal(room(state).unread, 2);
  moveMarker(state, room(state), '1', false);
  assert.equal(room(state).unread, 1);
  assert.deepEqual(unconfirmedMarkers(state).map(({ id }) => id), [CHANNEL]);
  states.dispatch(state, 'READ', { conversation_id: CHANNEL, id: '3' }, NOW);
  states.dispatch(state, 'READ', { conversation_id: CHANNEL, id: '1' }, NOW);
  assert.equal(room(state).read_id, '3');
  assert.equal(room(state).unread, 0);
  assert.deepEqual(unconfirmedMarkers(state), []);
});

test('unread: the count of the server stands where not all is held', () => {
  const state = begin(summary({ last_id: '80', read_id: '3', unread: 40,
    messages: [message(79), message(80)] }));
  assert.equal(room(state).unread, 40);
  create(state, 81);
  assert.equal(room(state).unread, 41);
  moveMarker(state, room(state), '81', false);
  assert.equal(room(state).unread, 0);
});

test('profiles: a list does not override a change that has just been told', () => {
  const state = begin(summary());
  states.dispatch(state, 'USER_UPDATE', { ...YOU, display_name: 'Renamed' }, NOW);
  states.putUsers(state, [YOU], NOW + 100);
  assert.equal(state.users.get('2').display_name, 'Renamed');
  states.putUsers(state, [{ ...YOU, display_name: 'Later' }], NOW + 60_000);
  assert.equal(state.users.get('2').display_name, 'Later');
});

// ---- Sending

const LIVE = { connection: 1, ready: true, resumed: true };
const pend = (state, nonce, now = NOW) => {
  const pending = outboxes.createPending(
    { nonce, conversation_id: CHANNEL, content: `says ${nonce}`, now });
  state.outbox.set(nonce, pending);
  return pending;
};
const due = (state, link, now) =>
  outboxes.due(state.outbox, link, (id) => states.isGapped(state, id), now);
const dueNonces = (state, link, now) => due(state, link, now).send.map(({ nonce }) => nonce);
const send = (state, pending, link, now) =>
  outboxes.markSent(pending, link.connection, room(state).cursor, now);
const nack = (state, nonce, code, more = {}) => states.dispatch(state, 'NACK',
  { op: 20, conversation_id: CHANNEL, nonce, code, message: code, ...more }, NOW);

test('sending: ACK, then the message, or the other way round', () => {
  for (const order of ['ack first', 'message first']) {
    const state = begin(summary());
    send(state, pend(state, 'n1'), LIVE, NOW);
    const ack = () => states.dispatch(state, 'ACK',
      { conversation_id: CHANNEL, nonce: 'n1', id: '7' }, NOW);
    const own = () => create(state, 7, { author_id: ME.id, nonce: 'n1' });
    if (order === 'ack first') {
      ack();
      assert.equal(state.outbox.get('n1').status, 'acked');
      assert.deepEqual(dueNonces(state, LIVE, NOW + 600_000), [], 'never sent again');
      own();
    } else {
      own();
      ack();
    }
    assert.equal(state.outbox.size, 0);
    assert.deepEqual(ids(state), ['7']);
  }
});

test('sending: one\'s own message with the nonce is the ACK, another\'s is not', () => {
  const state = begin(summary());
  send(state, pend(state, 'n1'), LIVE, NOW);
  create(state, 1, { nonce: 'n1' });
  assert.equal(state.outbox.size, 1);
  create(state, 2, { author_id: ME.id, nonce: 'n1' });
  assert.equal(state.outbox.size, 0);
});

test('sending: a message found in a page is settled, too', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  send(state, pend(state, 'n1'), LIVE, NOW);
  send(state, pend(state, 'n2'), LIVE, NOW);
  gap(state, 5, 100);
  const [range] = room(state).timeline.gaps;
  states.gapPage(state, room(state), range, { users: [], has_more: false, next: '7',
    entries: [{ t: 'MESSAGE_CREATE', d: message(7, { author_id: ME.id, nonce: 'n1' }) }] }, NOW);
  older(state, 5, page([message(3, { author_id: ME.id, nonce: 'n2' })]));
  assert.equal(state.outbox.size, 0);
});

test('sending: messages of one conversation go one after another', () => {
  const state = begin(summary());
  const first = pend(state, 'n1');
  pend(state, 'n2');
  assert.deepEqual(dueNonces(state, LIVE, NOW), ['n1']);
  send(state, first, LIVE, NOW);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 1000), []);
  states.dispatch(state, 'ACK', { conversation_id: CHANNEL, nonce: 'n1', id: '7' }, NOW);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 1000), ['n2']);
});

test('sending: without an answer it is repeated for two minutes, then by a new connection', () => {
  const state = begin(summary());
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 9_000), []);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 10_000), ['n1']);
  send(state, pending, LIVE, NOW + 115_000);
  assert.equal(due(state, LIVE, NOW + 119_000).reconnect, false);
  const late = due(state, LIVE, NOW + 121_000);
  assert.deepEqual(late.send, []);
  assert.equal(late.reconnect, true);
});

test('sending: on a new connection only after RESUMED and after its GAP', () => {
  const state = begin(summary({ last_id: '5', messages: [message(5)] }));
  send(state, pend(state, 'n1'), LIVE, NOW);
  outboxes.disconnect(state.outbox);
  const next = { connection: 2, ready: true, resumed: false };
  assert.deepEqual(dueNonces(state, { ...next, ready: false }, NOW), []);
  assert.deepEqual(dueNonces(state, next, NOW), []);
  gap(state, 5, 100);
  next.resumed = true;
  assert.deepEqual(dueNonces(state, next, NOW), []);
  const [range] = room(state).timeline.gaps;
  states.gapPage(state, room(state), range,
    { users: [], entries: [], has_more: false, next: null }, NOW);
  assert.deepEqual(dueNonces(state, next, NOW), ['n1'], 'the same nonce');
});

test('sending: a message never sent before need not wait for RESUMED', () => {
  const state = begin(summary());
  pend(state, 'n1');
  assert.deepEqual(dueNonces(state, { connection: 2, ready: true, resumed: false }, NOW), ['n1']);
});

test('sending: unknown_outcome keeps it pending and in doubt', () => {
  const state = begin(summary());
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  nack(state, 'n1', 'unknown_outcome');
  assert.equal(pending.status, 'sent');
  assert.deepEqual(dueNonces(state, LIVE, NOW + 1000), []);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 3000), ['n1']);
  send(state, pending, LIVE, NOW + 3000);
  nack(state, 'n1', 'rate_limited', { retry_after_ms: 50 });
  assert.ok(outboxes.inDoubt(pending), 'a later refusal says nothing of the earlier frame');
  outboxes.disconnect(state.outbox);
  assert.deepEqual(dueNonces(state, { connection: 2, ready: true, resumed: false }, NOW), []);
});

test('sending: rate_limited waits as long as it is told', () => {
  const state = begin(summary());
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  nack(state, 'n1', 'rate_limited', { retry_after_ms: 700 });
  assert.equal(pending.status, 'queued');
  assert.deepEqual(dueNonces(state, LIVE, NOW + 600), []);
  assert.deepEqual(dueNonces(state, LIVE, NOW + 700), ['n1']);
});

test('sending: a refusal is shown; the person tries again or gives up', () => {
  const state = begin(summary());
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  nack(state, 'n1', 'forbidden');
  assert.equal(pending.status, 'failed');
  assert.deepEqual(dueNonces(state, LIVE, NOW), []);
  outboxes.retry(state.outbox, 'n1', 'unused');
  assert.deepEqual(dueNonces(state, LIVE, NOW), ['n1']);
  send(state, pending, LIVE, NOW);
  nack(state, 'n1', 'conflict');
  outboxes.retry(state.outbox, 'n1', 'n2');
  assert.deepEqual(dueNonces(state, LIVE, NOW), ['n2']);
});

test('sending: what passes is repeated a bounded number of times', () => {
  const state = begin(summary());
  const pending = pend(state, 'n1');
  for (let times = 0; times < 20 && pending.status !== 'failed'; times += 1) {
    send(state, pending, LIVE, NOW);
    nack(state, 'n1', 'unavailable');
  }
  assert.equal(pending.status, 'failed');
  assert.equal(pending.error.code, 'unavailable');
});

test('a reload resumes a conversation from before what was under way in it', () => {
  const state = begin(summary({ last_id: '5' }));
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  create(state, 6);
  const record = JSON.parse(JSON.stringify(outboxes.freeze(pending)));

  const next = states.createState();
  states.restore(next, [record]);
  const given = states.cursors(next);
  assert.deepEqual(given, { [CHANNEL]: '5' });
  states.ready(next, readyData(summary({ last_id: '7' })), given, NOW);
  assert.deepEqual(dueNonces(next, { connection: 1, ready: true, resumed: false }, NOW), []);
  create(next, 6);
  create(next, 7, { author_id: ME.id, nonce: 'n1' });
  assert.equal(next.outbox.size, 0);
  assert.deepEqual(ids(next), ['6', '7']);
});

test('a reload: a GAP before the message under way is paged, not skipped', () => {
  const state = begin(summary({ last_id: '5' }));
  const pending = pend(state, 'n1');
  send(state, pending, LIVE, NOW);
  const next = states.createState();
  states.restore(next, [outboxes.freeze(pending)]);
  states.ready(next, readyData(summary({ last_id: '3000' })), states.cursors(next), NOW);
  gap(next, 5, 2950);
  assert.deepEqual(room(next).timeline.gaps, [{ from: '5', to: '2950' }]);
});

test('cursors: conversations with messages under way come first where not all can be given', () => {
  const state = states.createState();
  const many = Array.from({ length: states.MAX_CURSORS + 10 }, (_, i) =>
    summary({ id: String(10_000 + i), last_id: String(100 + i) }));
  states.ready(state, readyData(summary({ last_id: '1' }), ...many), {}, NOW);
  assert.equal(CHANNEL in states.cursors(state), false);
  pend(state, 'n1');
  const given = states.cursors(state);
  assert.equal(given[CHANNEL], '1');
  assert.equal(Object.keys(given).length, states.MAX_CURSORS);
});

test('content is normalized as the server does it', () => {
  assert.equal(normalizeContent('  a\u0000b\r\nc\td\u007f \n'), 'ab\nc\td');
  assert.equal(contentProblem('😀'.repeat(4000)), null);
  assert.match(contentProblem('😀'.repeat(4001)), /4001/);
});
