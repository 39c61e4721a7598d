// One request to the platform, on whichever edge answers.
//
// Invariant: a request is repeated, on another edge too, only when the caller says that repeating
// it changes nothing; every failure is an ApiError with the protocol's code.
// Left out: tokens (session.js) and what the operations are (api.js).

const TIMEOUT_MS = 15_000;
const ATTEMPTS = 3;
const PASSING = new Set(['unavailable', 'timeout', 'unreachable', 'unknown_outcome']);

export class ApiError extends Error {
  constructor(status, { code, message, retry_after_ms }) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retry_after_ms;
  }
}

export class Http {
  #edges;
  #fetch;

  constructor({ edges, fetch = (...args) => globalThis.fetch(...args) }) {
    this.#edges = edges;
    this.#fetch = fetch;
  }

  /** The answer's body, or null when it has none. */
  async request(method, path, { token, body, repeatable = method === 'GET' } = {}) {
    for (let attempt = 1; ; attempt += 1) {
      const edge = this.#edges.pick();
      try {
        return await this.#once(edge, method, path, token, body);
      } catch (error) {
        if (error.code === 'unreachable') this.#edges.failed(edge);
        if (!repeatable || attempt >= ATTEMPTS || !PASSING.has(error.code)) throw error;
        await sleep(error.retryAfterMs ?? 300 * attempt * (0.5 + Math.random()));
      }
    }
  }

  async #once(edge, method, path, token, body) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    let answer;
    try {
      response = await this.#fetch(`${edge}/v1${path}`, {
        method, headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store', credentials: 'omit',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      answer = response.status === 204 ? null : await response.json();
    } catch {
      if (response === undefined || response.ok) {
        throw new ApiError(0, { code: 'unreachable', message: 'The server cannot be reached.' });
      }
    }
    if (response.ok) return answer;
    throw new ApiError(response.status, answer?.error
      ?? { code: 'unavailable', message: `The server answered ${response.status}.` });
  }
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
