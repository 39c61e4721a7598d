// What every bot needs: connecting, asking, taking events.
//
// From the environment: NATS_URL, NATS_CREDS (the path of the credentials file) and BOT_ID.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { jetstream } from "@nats-io/jetstream";
import { connect, credsAuthenticator, errors } from "@nats-io/transport-node";

// Asking again may help; any other refusal stays one.
const AGAIN = ["unavailable", "timeout", "unknown_outcome", "rate_limited"];

/** An answer that asking again does not change. */
export class Refused extends Error {}

export class Bot {
  static async connect() {
    const { NATS_URL, NATS_CREDS, BOT_ID } = process.env;
    const bot = new Bot();
    bot.id = BOT_ID;
    bot.connection = await connect({
      servers: NATS_URL.split(","),
      authenticator: credsAuthenticator(await readFile(NATS_CREDS)),
      inboxPrefix: `_INBOX_${BOT_ID}`, // the only place where a bot may hear anything
      maxReconnectAttempts: -1, // reconnects for ever
    });
    return bot;
  }

  /** The answer to a request, asked until there is one. Safe for everything but a message without a
   * nonce, which each try would write once more. */
  async ask(what, request) {
    for (;;) {
      const { error, ...answer } = await this.#askOnce(what, request);
      if (!error) return answer;
      if (!AGAIN.includes(error.code)) throw new Refused(`${what}: ${error.code}, ${error.message}`);
      await sleep(error.retry_after_ms ?? 500);
    }
  }

  async #askOnce(what, request) {
    try {
      const subject = `bot.${this.id}.${what}`;
      return (await this.connection.request(subject, JSON.stringify(request), { timeout: 10_000 })).json();
    } catch (failure) {
      // Nobody was there, or nobody in time?
      const absent = failure instanceof errors.RequestError && failure.isNoResponders();
      if (!absent && !(failure instanceof errors.TimeoutError)) throw failure;
      return { error: { code: "timeout" } };
    }
  }

  /** Writes a message, once, however often it is asked for with this nonce in 5 minutes. */
  send(conversation, content, nonce) {
    return this.ask(`send.${conversation}`, { content, nonce });
  }

  /** Every event, for ever. It is acknowledged when the next one is wanted; one that was not, as the
   * bot died over it, comes again. */
  async *events() {
    // Bound without being looked up, which a bot may not do.
    const found = { stream_name: "BOTS", name: `bot_${this.id}`, config: {} };
    const consumer = jetstream(this.connection).consumers.getConsumerFromInfo(found);
    for await (const message of await consumer.consume({ bind: true, max_messages: 1, expires: 5_000 })) {
      yield message.json();
      message.ack();
    }
  }
}
