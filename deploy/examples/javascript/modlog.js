// Writes all that happens into a file, each entry once, whatever dies.    node modlog.js FILE

import { open } from "node:fs/promises";

import { Bot, Refused } from "./bot.js";

/** One event to a line. The last line of a conversation is also how far it has been logged: what was
 * done and how far that is are one write, and nothing can come between them. */
class Log {
  #last = new Map();

  static async open(path) {
    const log = new Log();
    log.file = await open(path, "a+");
    const content = await log.file.readFile();
    // A torn last line was not acknowledged, and will come again.
    const whole = content.lastIndexOf("\n") + 1;
    await log.file.truncate(whole);
    const lines = content.toString("utf8", 0, whole).split("\n").slice(0, -1);
    for (const line of lines) log.#note(JSON.parse(line).d);
    return log;
  }

  // Ids have 64 bits, more than a number can hold.
  #note = (entry) => this.#last.set(entry.conversation_id, BigInt(entry.id));

  async add(event) {
    // Logged already, and only the acknowledgement was lost?
    if (BigInt(event.d.id) <= (this.#last.get(event.d.conversation_id) ?? 0n)) return;
    await this.file.appendFile(`${JSON.stringify(event)}\n`);
    await this.file.datasync();
    this.#note(event.d);
  }
}

/** What was left out because too much waited, from after `from` to before `to`. */
async function fill(bot, log, { conversation_id, from, to }) {
  let page = { next: from, has_more: true };
  while (page.has_more) {
    page = await bot.ask("api.entries.list", { conversation_id, after: page.next, limit: 100 });
    for (const event of page.entries) {
      if (BigInt(event.d.id) >= BigInt(to)) return;
      await log.add(event);
    }
  }
}

const log = await Log.open(process.argv[2]);
const bot = await Bot.connect();
for await (const event of bot.events()) {
  if (event.t !== "GAP") {
    await log.add(event);
    continue;
  }
  try {
    await fill(bot, log, event.d);
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    console.log(refused.message); // it is in the channel no more, and may not read it
  }
}
