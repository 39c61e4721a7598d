// Two people in two browsers on two edges go through everything the page does.
//
//   node two-people.mjs --edge1 http://127.0.0.1:8080 --edge2 http://127.0.0.1:8081 --out DIR
//   node two-people.mjs .natter/dev.json
//
// The second form takes the edges from what ./deploy/dev wrote, puts the pictures in `screenshots`
// beside it, and also kills an edge, which ./deploy/dev starts again.
//
// Every step checks the document and leaves a screenshot of both pages. The first step that fails
// ends the run with a picture of that moment and exit code 1. NATTER_CHROMIUM names the browser to
// use where it is not /usr/bin/chromium. Accounts get random names, so that it can run again and
// again against the same platform.
// Left out: the rules without a document (state.test.mjs).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

import { Person } from './person.mjs';

/** {edge1, edge2, out, pid of edge1 or undefined} */
async function readOptions() {
  const { values, positionals: [file] } = parseArgs({ allowPositionals: true, options: {
    edge1: { type: 'string' }, edge2: { type: 'string' }, out: { type: 'string' } } });
  if (file) {
    const { edges: [first, second] } = JSON.parse(await readFile(file, 'utf8'));
    const out = values.out ?? join(dirname(file), 'screenshots');
    const [edge1, edge2] = [first.url, second.url].map((url) => url.replace(/\/+$/, ''));
    return { edge1, edge2, out, pid: first.pid };
  }
  if (values.edge1 && values.edge2 && values.out) return values;
  console.error('usage: two-people.mjs (--edge1 URL --edge2 URL --out DIR | dev.json)');
  return process.exit(2);
}

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PASSWORD = 'correct horse battery';
const NEW_PASSWORD = 'a staple of another kind';
/** Enough for three pages of history. */
const MANY = 120;

const options = await readOptions();
const run = randomBytes(3).toString('hex');
const names = { ada: `ada_${run}`, bo: `bo_${run}` };

await mkdir(options.out, { recursive: true });
const browser = await chromium.launch({ headless: true, args: FLAGS,
  executablePath: process.env.NATTER_CHROMIUM ?? '/usr/bin/chromium' });
const ada = await Person.arrive(browser, 'ada', options.edge1);
const bo = await Person.arrive(browser, 'bo', options.edge2, { colorScheme: 'dark' });
let number = 0;
let room;

/** Runs one step and takes its pictures. */
async function step(title, action) {
  number += 1;
  const file = (person) => join(options.out,
    `${String(number).padStart(2, '0')}-${title.replaceAll(/\W+/g, '-')}-${person.name}.png`);
  const started = Date.now();
  try {
    await action();
  } finally {
    for (const person of [ada, bo]) await person.page.screenshot({ path: file(person) });
  }
  console.log(`ok ${number} ${title} (${Date.now() - started} ms)`);
}

async function everything() {
  await step('register', async () => {
    await ada.register(names.ada, PASSWORD, 'Ada');
    await bo.register(names.bo, PASSWORD, 'Bo');
  });
  await step('a taken name is refused', async () => {
    const third = await Person.arrive(browser, 'third', options.edge2);
    await third.register(names.ada, PASSWORD, 'Nobody', { fails: true });
    await third.sees('auth-error', /taken/);
    await third.leave();
  });
  await step('create a channel', async () => {
    room = await ada.createChannel('Harbour');
    await ada.sees('chat-title', 'Harbour');
    await ada.count('member', 1);
    await ada.sees('history-start', /beginning/i);
  });
  await step('add', async () => {
    await ada.addMember('nobody.of.that.name');
    await ada.sees('add-member-error', /.+/);
    await ada.addMember(names.bo);
    await ada.count('member', 2);
    await bo.open(room);
    await bo.sees('chat-title', 'Harbour');
    await bo.isHidden('add-member-submit');
  });
  await step('write', async () => {
    await ada.write('Hello from the first edge');
    await bo.seesMessage('Hello from the first edge');
    await bo.write('<b>Hello</b> & hello\nfrom the second');
    await ada.seesMessage('<b>Hello</b> & hello\nfrom the second');
    await bo.write('مرحبا · 😀 · 日本語');
    await ada.seesMessage('مرحبا · 😀 · 日本語');
    await ada.hasNoPending();
    await bo.hasNoPending();
  });
  await step('typing', async () => {
    await bo.type('composer-input', 'so');
    await ada.sees('typing', /Bo is typing/);
    await bo.fill('composer-input', '');
  });
  await step('edit', async () => {
    await ada.edit('Hello from the first edge', 'Hello, edited');
    for (const person of [ada, bo]) {
      await person.seesMessage('Hello, edited');
      await person.count('message-edited', 1);
    }
    await bo.cannot('message-edit', 'Hello, edited');
  });
  await step('delete', async () => {
    await bo.write('to be deleted by its author');
    await ada.seesMessage('to be deleted by its author');
    await bo.remove('to be deleted by its author');
    await ada.seesNoMessage('to be deleted by its author');
    await bo.write('to be deleted by the creator');
    await ada.remove('to be deleted by the creator');
    await bo.seesNoMessage('to be deleted by the creator');
    await bo.cannot('message-delete', 'Hello, edited');
  });
  await step('direct message', async () => {
    const dm = await bo.openDm(names.ada);
    await bo.sees('chat-title', 'Ada');
    await ada.doesNotList(dm);
    await bo.write('just between us');
    await ada.unread(dm, 1);
    await ada.open(dm);
    await ada.seesMessage('just between us');
    await ada.unread(dm, 0);
    assert.equal(await ada.openDm(names.bo), dm, 'one conversation, whoever opens it');
    await ada.write('understood');
    await bo.seesMessage('understood');
    await bo.open(room);
    await ada.open(room);
  });
  await step('rename', async () => {
    await ada.renameChannel('Harbour at night');
    await bo.sees('chat-title', 'Harbour at night');
    await bo.isHidden('rename-channel');
  });
  await step('change the profile', async () => {
    await bo.settings();
    await bo.fill('profile-display-name', 'Bo the Second');
    await bo.fill('profile-avatar-url', `${options.edge1}/no-such-picture.png`);
    await bo.click('profile-save');
    await bo.sees('profile-status', /Saved/);
    await ada.sees('members', /Bo the Second/);
    await ada.sees('lines', /Bo the Second/);
  });
  await step('change the username', async () => {
    await bo.fill('profile-username', names.ada);
    await bo.click('profile-save');
    await bo.sees('profile-error', /taken/);
    names.bo = `bob_${run}`;
    await bo.fill('profile-username', names.bo);
    await bo.click('profile-save');
    await bo.sees('profile-status', /Saved/);
    await bo.sees('own-username', `@${names.bo}`);
    await ada.sees('members', new RegExp(`@${names.bo}`));
  });
  await step('change the password and end another session', async () => {
    const other = await Person.arrive(browser, 'other', options.edge1);
    await other.signIn(names.bo, PASSWORD);
    await other.open(room);
    await bo.fill('password-old', 'not the password');
    await bo.fill('password-new', NEW_PASSWORD);
    await bo.click('password-save');
    await bo.sees('password-error', /wrong/);
    await bo.fill('password-old', PASSWORD);
    await bo.click('password-save');
    await bo.sees('password-status', /Changed/);
    await other.isSignedOut();
    await other.signIn(names.bo, NEW_PASSWORD);
    await bo.closeSettings();
    await bo.settings();
    await bo.count('session', 2);
    await bo.click('session-revoke');
    await bo.count('session', 1);
    await other.isSignedOut();
    await other.leave();
    await bo.closeSettings();
  });
  await step('unread', async () => {
    const aside = await bo.createChannel('Bo alone');
    await bo.unread(room, 0);
    const tab = await bo.secondTab(aside);
    for (const text of ['one', 'two', 'three']) await ada.write(text);
    await bo.unread(room, 3);
    await tab.unread(room, 3);
    assert.match(await bo.page.title(), /^\(3\)/);
    await bo.open(room);
    await bo.sees('unread-divider', /New/);
    await bo.unread(room, 0);
    await tab.unread(room, 0);
    await tab.close();
    await bo.open(aside);
    await bo.deleteChannel();
    await bo.open(room);
  });
  await step('older pages on scrolling', async () => {
    const before = await ada.messages();
    await ada.writeMany(MANY, 'line');
    await bo.seesMessage(`line ${MANY}`);
    await bo.reload();
    await bo.seesMessage(`line ${MANY}`);
    assert.ok((await bo.messages()).length < MANY, 'a fresh page shows the newest only');
    await bo.scrollToStart();
    const all = await bo.messages();
    const lines = Array.from({ length: MANY }, (_, i) => `line ${i + 1}`);
    assert.deepEqual(all, [...before, ...lines], 'all of it, once, in order');
  });
  await step('stays where one reads', async () => {
    const place = await bo.firstVisible();
    await ada.write('news below');
    await bo.sees('jump-newest', /1 new/);
    assert.equal(await bo.firstVisible(), place);
    await bo.click('jump-newest');
    await bo.unread(room, 0);
    await bo.isHidden('jump-newest');
  });
  await step('another edge', async () => {
    await ada.isOn(options.edge1);
    const before = await ada.messages();
    await ada.cutOff(options.edge1);
    await ada.write('written while cut off');
    await bo.write('missed by the other');
    await ada.isOn(options.edge2);
    await ada.hasNoPending();
    await ada.seesMessage('missed by the other');
    await bo.seesMessage('written while cut off');
    const after = await ada.messages();
    assert.deepEqual(after.slice(before.length).toSorted(),
      ['missed by the other', 'written while cut off'], 'nothing lost, nothing twice');
    assert.deepEqual((await bo.messages()).slice(-2), after.slice(-2), 'one order for both');
    await ada.renameChannel('Harbour by day');
    await bo.sees('chat-title', 'Harbour by day');
    await ada.restore();
  });
  if (options.pid) {
    await step('an edge that dies', async () => {
      await ada.reload();
      await ada.isOn(options.edge1);
      process.kill(options.pid, 'SIGKILL');
      await ada.write('after the edge died');
      await bo.seesMessage('after the edge died');
      await ada.hasNoPending();
      await ada.isOn(options.edge2);
      for (const person of [ada, bo]) await person.endsWithOnce('after the edge died');
      await ada.reachesAgain(options.edge1);
    });
  } else console.log('left out: an edge that dies (its process is not known)');
  await step('an answer that is lost', async () => {
    const before = (await bo.messages()).length;
    await ada.cutAfterNextSend();
    await ada.write('said once');
    await ada.hasNoPending();
    await ada.seesMessage('said once');
    await bo.seesMessage('said once');
    assert.equal((await bo.messages()).length, before + 1);
    assert.equal((await ada.messages()).filter((text) => text === 'said once').length, 1);
  });
  await step('a reload with a message under way', async () => {
    await ada.cutOff(options.edge1, options.edge2);
    await ada.write('kept over a reload');
    await ada.count('pending', 1);
    await ada.restore();
    await ada.reload();
    await ada.seesMessage('kept over a reload');
    await ada.hasNoPending();
    await bo.seesMessage('kept over a reload');
    assert.equal((await bo.messages()).filter((text) => text === 'kept over a reload').length, 1);
  });
  await step('on a telephone', async () => {
    await bo.page.setViewportSize({ width: 390, height: 780 });
    await bo.click('back');
    await bo.isHidden('composer-input');
    await bo.open(room);
    await bo.write('from a small window');
    await ada.seesMessage('from a small window');
  });
  await step('members on a telephone', async () => {
    await bo.click('toggle-members');
    await bo.sees('members', /Ada/);
    await bo.click('members-close');
    await bo.isHidden('members');
    await bo.click('toggle-members');
  });
  await bo.page.setViewportSize({ width: 1200, height: 760 });
  await step('remove', async () => {
    await ada.removeMember('Bo the Second');
    await ada.count('member', 1);
    await bo.doesNotList(room);
    await bo.sees('empty', /Choose/);
  });
  await step('leave', async () => {
    await ada.addMember(names.bo);
    await bo.open(room);
    await bo.seesMessage('said once');
    await bo.leaveChannel();
    await bo.doesNotList(room);
    await ada.count('member', 1);
  });
  await step('delete the channel', async () => {
    await ada.addMember(names.bo);
    await bo.open(room);
    await ada.deleteChannel();
    await ada.doesNotList(room);
    await bo.doesNotList(room);
  });
  await step('sign out and in', async () => {
    const tab = await bo.secondTab(null);
    await bo.signOut();
    await bo.isSignedOut();
    await tab.isSignedOut();
    await tab.close();
    await bo.signIn(names.bo, PASSWORD, { fails: true });
    await bo.sees('auth-error', /Wrong/);
    await bo.signIn(names.bo, NEW_PASSWORD);
    await bo.sees('own-name', 'Bo the Second');
  });
}

let failed = false;
try {
  await everything();
  for (const { name, complaints } of [ada, bo]) assert.deepEqual(complaints, [], `errors of ${name}`);
  console.log(`all ${number} steps passed`);
} catch (error) {
  failed = true;
  console.error(`failed at step ${number}\n${error.stack}`);
  for (const person of [ada, bo]) console.error(person.name, person.complaints);
}
await browser.close();
process.exitCode = failed ? 1 : 0;
