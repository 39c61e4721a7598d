// One person at one page: what they do and what they see, in words.
//
// Invariant: every look waits until it is true or a deadline passes; nothing sleeps for a fixed
// time. Connections pass through here, so that a person can be cut off from an edge.
// Left out: the story (two-people.mjs).

import assert from 'node:assert/strict';

const PATIENCE_MS = 20_000;
const VIEW = { width: 1200, height: 760 };

export class Person {
  /** Errors the page reported that nothing here provoked. */
  complaints = [];
  #cut = new Set();
  #sockets = new Map();
  #isCuttingAfterSend = false;

  static async arrive(browser, name, edge, { colorScheme = 'light' } = {}) {
    const context = await browser.newContext({ viewport: VIEW, colorScheme, locale: 'en-GB' });
    const person = new Person(name, edge, context, await context.newPage());
    await person.#listen();
    await person.page.goto(`${edge}/`);
    return person;
  }

  constructor(name, edge, context, page) {
    Object.assign(this, { name, edge, context, page });
    page.setDefaultTimeout(PATIENCE_MS);
  }

  async #listen() {
    this.page.on('pageerror', (error) => this.complaints.push(error.stack));
    this.page.on('console', (message) => {
      const isOurs = message.type() === 'error' && /Content Security|Uncaught/.test(message.text());
      if (isOurs) this.complaints.push(message.text());
    });
    await this.page.route((url) => this.#cut.has(url.origin), (route) => route.abort());
    await this.page.routeWebSocket(/\/v1\/gateway$/, (socket) => this.#carry(socket));
  }

  /** Carries the frames of one connection, for as long as its edge is not cut off. */
  #carry(socket) {
    const edge = new URL(socket.url()).origin.replace(/^ws/, 'http');
    if (this.#cut.has(edge)) return void socket.close({ code: 4000 });
    const server = socket.connectToServer();
    this.#sockets.set(socket, { edge, server });
    socket.onMessage((frame) => {
      server.send(frame);
      if (!this.#isCuttingAfterSend || JSON.parse(frame).op !== 20) return;
      // The frame has gone out; no answer to it comes back.
      this.#isCuttingAfterSend = false;
      this.#drop(socket, 500);
    });
    server.onMessage((frame) => { if (this.#sockets.has(socket)) socket.send(frame); });
    const closed = (to) => (code, reason) => {
      this.#sockets.delete(socket);
      to.close({ code: code === 1005 || code === 1006 ? 1000 : code, reason });
    };
    socket.onClose(closed(server));
    server.onClose(closed(socket));
  }

  /** Closes the page's end at once, the edge's after it has had time for what was sent. */
  #drop(socket, lingerMs = 0) {
    const { server } = this.#sockets.get(socket);
    this.#sockets.delete(socket);
    socket.close({ code: 4000 });
    setTimeout(() => server.close(), lingerMs);
  }

  // ---- The network

  async cutOff(...edges) {
    for (const edge of edges) this.#cut.add(edge);
    for (const [socket, { edge }] of this.#sockets) if (this.#cut.has(edge)) this.#drop(socket);
  }

  async restore() {
    this.#cut.clear();
  }

  async cutAfterNextSend() {
    this.#isCuttingAfterSend = true;
  }

  async isOn(edge) {
    await this.#locate('link-status', `[data-state="live"][data-edge="${edge}"]`)
      .waitFor({ state: 'attached' });
  }

  // ---- Looking

  #locate(testid, extra = '') {
    return this.page.locator(`[data-testid="${testid}"]${extra}`);
  }

  /** Some element with this test id is visible and has this text. */
  async sees(testid, text) {
    await this.#eventually(async () => {
      const texts = await this.#locate(testid).filter({ visible: true }).allTextContents();
      const isMatch = (found) => (text instanceof RegExp ? text.test(found) : found === text);
      return texts.some(isMatch) || `${testid} shows ${JSON.stringify(texts)}, not ${text}`;
    });
  }

  async isHidden(testid) {
    await this.#locate(testid).first().waitFor({ state: 'hidden' });
  }

  async count(testid, wanted) {
    await this.#eventually(async () => {
      const found = await this.#locate(testid).count();
      return found === wanted || `${found} of ${testid}, not ${wanted}`;
    });
  }

  messages() {
    return this.#locate('message-content').allTextContents();
  }

  async seesMessage(text) {
    await this.#eventually(async () => {
      const texts = await this.messages();
      return texts.includes(text) || `no message ${text} in ${texts.slice(-5).join(' | ')}`;
    });
  }

  /** The newest message, and the only one with this text. */
  async endsWithOnce(text) {
    const texts = await this.messages();
    assert.deepEqual(texts.flatMap((found, i) => (found === text ? [i] : [])), [texts.length - 1]);
  }

  /** The edge serves its page again. */
  async reachesAgain(edge) {
    await this.#eventually(async () => {
      const answer = await fetch(`${edge}/readyz`).catch(() => null);
      return answer?.ok || `${edge} is not ready`;
    }, 60_000);
  }

  async seesNoMessage(text) {
    await this.#eventually(async () =>
      !(await this.messages()).includes(text) || `still shows ${text}`);
  }

  hasNoPending() {
    return this.count('pending', 0);
  }

  /** The conversation is listed with so many unread. Read in one look: a badge goes as it is read. */
  async unread(id, wanted) {
    await this.#eventually(async () => {
      const [found = 'not listed'] = await this.#conversation(id).evaluateAll((rows) => rows.map(
        (row) => row.querySelector('[data-testid="unread-badge"]')?.textContent ?? '0'));
      return found === String(wanted) || `unread: ${found}, not ${wanted}`;
    });
  }

  async doesNotList(id) {
    await this.#conversation(id).waitFor({ state: 'detached' });
  }

  async cannot(testid, text) {
    assert.equal(await this.#message(text).getByTestId(testid).count(), 0, `${testid} is offered`);
  }

  /** The first message on the screen and how far it is from the top. */
  firstVisible() {
    return this.#locate('timeline').evaluate((timeline) => {
      const { top } = timeline.getBoundingClientRect();
      const line = [...timeline.querySelectorAll('[data-testid="message"]')]
        .find((node) => node.getBoundingClientRect().bottom > top);
      return `${line.dataset.id} at ${Math.round(line.getBoundingClientRect().top - top)}`;
    });
  }

  // ---- Doing

  click(testid) {
    return this.#locate(testid).first().click();
  }

  fill(testid, text) {
    return this.#locate(testid).fill(text);
  }

  type(testid, text) {
    return this.#locate(testid).pressSequentially(text);
  }

  async register(username, password, displayName, { fails = false } = {}) {
    await this.click('auth-toggle');
    await this.fill('auth-username', username);
    await this.fill('auth-password', password);
    await this.fill('auth-display-name', displayName);
    await this.click('auth-submit');
    if (!fails) await this.#isLive();
  }

  async signIn(username, password, { fails = false } = {}) {
    await this.fill('auth-username', username);
    await this.fill('auth-password', password);
    await this.click('auth-submit');
    if (!fails) await this.#isLive();
  }

  async signOut() {
    await this.settings();
    await this.click('sign-out');
  }

  async isSignedOut() {
    await this.#locate('auth').waitFor();
  }

  async createChannel(name) {
    await this.click('new-channel');
    await this.#answer(name);
    await this.sees('chat-title', name);
    return this.#openId();
  }

  async openDm(username) {
    await this.click('new-dm');
    await this.#answer(username);
    return this.#openId();
  }

  async open(id) {
    await this.#conversation(id).click();
    await this.#eventually(async () => await this.#openId() === id || 'not opened');
  }

  async addMember(username) {
    await this.fill('add-member-input', username);
    await this.click('add-member-submit');
  }

  async removeMember(name) {
    const member = this.#locate('member').filter({ hasText: name });
    await member.hover();
    await member.getByTestId('member-remove').click();
    await this.#answer();
  }

  async renameChannel(name) {
    await this.click('rename-channel');
    await this.#answer(name);
    await this.sees('chat-title', name);
  }

  async deleteChannel() {
    await this.click('delete-channel');
    await this.#answer();
  }

  async leaveChannel() {
    await this.click('leave-channel');
    await this.#answer();
  }

  async write(text) {
    await this.fill('composer-input', text);
    await this.#locate('composer-input').press('Enter');
    await this.#eventually(async () => {
      const shown = await this.#locate('pending-content').allTextContents();
      return shown.includes(text) || (await this.messages()).includes(text) || 'not shown';
    });
  }

  /** Writes `count` messages as fast as the page takes them and waits until all are stored. */
  async writeMany(count, word) {
    const input = this.#locate('composer-input');
    for (let i = 1; i <= count; i += 1) {
      await input.fill(`${word} ${i}`);
      await input.press('Enter');
    }
    await this.#eventually(async () => {
      const left = await this.#locate('pending').count();
      return left === 0 || `${left} still pending`;
    }, 120_000);
  }

  async edit(text, changed) {
    await this.#message(text).hover();
    await this.#message(text).getByTestId('message-edit').click();
    await this.fill('edit-input', changed);
    await this.click('edit-save');
    await this.seesMessage(changed);
  }

  async remove(text) {
    await this.#message(text).hover();
    await this.#message(text).getByTestId('message-delete').click();
    await this.#answer();
    await this.seesNoMessage(text);
  }

  async settings() {
    await this.click('open-settings');
    await this.#locate('settings').waitFor();
  }

  async closeSettings() {
    await this.click('settings-close');
    await this.#locate('settings').waitFor({ state: 'detached' });
  }

  async scrollToStart() {
    await this.#eventually(async () => {
      await this.#locate('timeline').evaluate((timeline) => { timeline.scrollTop = 0; });
      return await this.#locate('history-start').count() === 1 || 'no beginning in sight';
    });
  }

  async reload() {
    await this.page.reload();
    await this.#isLive();
  }

  /** Another tab of the same browser, showing a conversation. */
  async secondTab(id) {
    const tab = new Person(`${this.name}'s tab`, this.edge, this.context,
      await this.context.newPage());
    await tab.page.goto(`${this.edge}/${id === null ? '' : `#/${id}`}`);
    await tab.#isLive();
    return tab;
  }

  close() {
    return this.page.close();
  }

  leave() {
    return this.context.close();
  }

  // ---- Parts

  #conversation(id) {
    return this.#locate('conversation', `[data-id="${id}"]`);
  }

  #message(text) {
    const content = this.page.getByTestId('message-content').getByText(text, { exact: true });
    return this.#locate('message').filter({ has: content });
  }

  async #answer(text) {
    const dialog = this.#locate('dialog');
    if (text !== undefined) await dialog.getByTestId('dialog-input').fill(text);
    await dialog.getByTestId('dialog-submit').click();
    await dialog.waitFor({ state: 'detached' });
  }

  async #openId() {
    return this.page.evaluate(() => /^#\/(\d+)$/.exec(location.hash)?.[1] ?? null);
  }

  async #isLive() {
    await this.#locate('link-status', '[data-state="live"]').waitFor({ state: 'attached' });
  }

  async #eventually(look, patience = PATIENCE_MS) {
    const deadline = Date.now() + patience;
    for (;;) {
      const found = await look();
      if (found === true) return;
      if (Date.now() > deadline) throw new Error(`${this.name}: ${found}`);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
  }
}
