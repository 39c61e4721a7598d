// The live connection: one websocket at a time, to whichever edge takes it.
//
// Invariant: events come from the newest connection only, and every connection begins with the
// cursors as they are at that moment, so that nothing is missed or applied out of order between
// two. Waiting grows and is random, so that many pages do not come back at once.
// Left out: what events mean (state.js) and what is worth sending (client.js).

const OP = { DISPATCH: 0, HEARTBEAT: 1, IDENTIFY: 2, RECONNECT: 7, HELLO: 10 };
export const SEND = 20;
export const TYPING = 21;
export const READ = 22;

const READY_WITHIN_MS = 20_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** A connection that lasted this long counts as good. */
const STEADY_MS = 10_000;
const DEFAULT_HEARTBEAT_MS = 30_000;
const CLOSE = { UNAVAILABLE: 4000, BAD_FRAME: 4002, REFUSED: 4004, TOO_FAST: 4008 };

export class Gateway {
  /** {connection, url, ready, resumed, state: offline | connecting | live, retryAt} */
  link = { connection: 0, url: null, ready: false, resumed: false, state: 'offline', retryAt: 0 };
  #on;
  #edges;
  #Socket;
  #socket = null;
  #token = null;
  #attempts = 0;
  #readyAt = 0;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #leaving = null;
  /** The edge that failed last: the next attempt goes elsewhere if there is an elsewhere. */
  #lastLost = null;
  #timers = { wait: 0, beat: 0, silence: 0 };
  #stopped = true;

  /**
   * `on`: token(refused) -> promise, identify() -> cursors, event(type, data), link(link),
   * unreachable() when no attempt works, suspect() when the server does not accept the cursors.
   */
  constructor({ edges, on, Socket = globalThis.WebSocket }) {
    this.#edges = edges;
    this.#on = on;
    this.#Socket = Socket;
  }

  start() {
    this.#stopped = false;
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    this.#drop();
    this.#show({ state: 'offline', ready: false, resumed: false });
  }

  /** Begins a new connection, also where this one seems to work. */
  restart() {
    if (this.#stopped || this.link.state === 'connecting') return;
    this.#lost(null);
  }

  /** The network or the page came back: wait no longer, and see whether the edge is there. */
  wake() {
    if (this.#stopped) return;
    if (this.link.state === 'offline') this.#connect();
    else if (this.link.ready) this.#beat(5000);
  }

  /** False when the frame could not be sent. */
  send(op, data) {
    if (!this.link.ready) return false;
    return this.#write({ op, d: data });
  }

  #write(frame) {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  async #connect() {
    this.#drop();
    const connection = this.link.connection + 1;
    const url = this.#edges.pick({ except: this.#lastLost });
    this.#show({ connection, url, state: 'connecting', ready: false, resumed: false, retryAt: 0 });
    const isCurrent = () => !this.#stopped && this.link.connection === connection;
    try {
      this.#token = await this.#on.token(null);
    } catch (error) {
      if (isCurrent() && error.code !== 'signed_out') this.#lost(null);
      return;
    }
    if (!isCurrent()) return;
    const socket = new this.#Socket(`${url.replace(/^http/, 'ws')}/v1/gateway`);
    this.#socket = socket;
    this.#timers.silence = setTimeout(() => this.#lost(null), READY_WITHIN_MS);
    const isMine = () => this.#socket === socket;
    socket.onopen = () => {
      if (!isMine()) return;
      const cursors = this.#on.identify();
      this.#write({ op: OP.IDENTIFY, d: { token: this.#token, cursors } });
    };
    socket.onmessage = ({ data }) => { if (isMine()) this.#frame(JSON.parse(data)); };
    socket.onclose = ({ code }) => { if (isMine()) this.#lost(code); };
  }

  #frame({ op, t, d }) {
    if (op === OP.HELLO) {
      this.#heartbeatMs = d.heartbeat_interval_ms || DEFAULT_HEARTBEAT_MS;
    } else if (op === OP.RECONNECT) {
      this.#leave(d?.after_ms ?? 0);
    } else if (op === OP.DISPATCH) {
      if (t === 'READY') this.#isReady(d);
      else this.#on.event(t, d);
      if (t === 'RESUMED') this.#show({ resumed: true });
    }
    // Set from here, not from another timer: a hidden page may fall silent otherwise.
    if (this.link.ready && this.#timers.beat === 0) this.#scheduleBeat();
    if (this.link.ready && this.#timers.silence !== 0) {
      clearTimeout(this.#timers.silence);
      this.#timers.silence = 0;
    }
  }

  #isReady(data) {
    this.#readyAt = Date.now();
    this.#lastLost = null;
    this.#edges.worked(this.link.url);
    this.#edges.learn(data.edges);
    this.#on.event('READY', data);
    this.#show({ state: 'live', ready: true });
  }

  #scheduleBeat() {
    this.#timers.beat = setTimeout(() => this.#beat(this.#heartbeatMs), this.#heartbeatMs * 0.7);
  }

  #beat(patience) {
    clearTimeout(this.#timers.beat);
    this.#timers.beat = 0;
    this.#write({ op: OP.HEARTBEAT });
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#lost(null), patience);
  }

  /** This edge is leaving: go to another after the wait, whether it still holds on or not. */
  #leave(ms) {
    if (this.#leaving) return;
    const url = this.link.url;
    this.#edges.failed(url, 30_000);
    const at = Date.now() + ms;
    const timer = setTimeout(() => this.#connect(), ms);
    this.#lastLost = url;
    this.#leaving = { at, timer };
  }

  #lost(code) {
    const { url } = this.link;
    const planned = this.#leaving && Math.max(0, this.#leaving.at - Date.now());
    const isSteady = this.link.ready && Date.now() - this.#readyAt > STEADY_MS;
    const wasReady = this.link.ready;
    if (this.link.resumed) this.#attempts = Math.min(this.#attempts, 1);
    this.#drop();
    if (this.#stopped) return;
    if (isSteady) this.#attempts = 0;
    if (code === CLOSE.REFUSED) return void this.#renewToken(this.#token);
    if (code === CLOSE.BAD_FRAME && !wasReady) this.#on.suspect();
    if (planned === null) {
      this.#edges.failed(url);
      this.#lastLost = url;
      this.#attempts += 1;
      if (this.#attempts % 3 === 0) this.#on.unreachable();
    }
    this.#wait(planned ?? this.#pause(code));
  }

  async #renewToken(refused) {
    this.#attempts += 1;
    this.#show({ state: 'connecting', ready: false, resumed: false });
    try {
      await this.#on.token(refused);
    } catch (error) {
      if (error.code === 'signed_out') return;
    }
    if (!this.#stopped) this.#wait(this.#attempts === 1 ? 0 : this.#pause(CLOSE.UNAVAILABLE));
  }

  #pause(code) {
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(10, this.#attempts));
    const least = code === CLOSE.TOO_FAST ? 5000 : code === CLOSE.UNAVAILABLE ? 1000 : 0;
    return least + most * (0.3 + 0.7 * Math.random());
  }

  #wait(ms) {
    this.#show({ state: 'offline', ready: false, resumed: false, retryAt: Date.now() + ms });
    this.#timers.wait = setTimeout(() => this.#connect(), ms);
  }

  /** Lets go of the connection and of everything that was to happen on it. */
  #drop() {
    for (const name of Object.keys(this.#timers)) {
      clearTimeout(this.#timers[name]);
      this.#timers[name] = 0;
    }
    clearTimeout(this.#leaving?.timer);
    this.#leaving = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #show(changes) {
    this.link = { ...this.link, ...changes };
    this.#on.link(this.link);
  }
}
