// Publishes the lines of a file, each once and in order.    node bridge.js FILE CHANNEL_ID
//
// Started again, it goes on where it was: FILE.done has the number of the last line that was
// answered. The one after it may have been written without the answer being seen; its nonce, which
// is its number, makes it the same message.

import { existsSync } from "node:fs";
import { open, readFile, rename, writeFile } from "node:fs/promises";

import { Bot } from "./bot.js";

const [path, channel] = process.argv.slice(2);
const done = `${path}.done`;
const position = existsSync(done) ? Number(await readFile(done, "utf8")) : 0;

const bot = await Bot.connect();
const file = await open(path);
let number = 0;
for await (const line of file.readLines()) {
  number += 1;
  if (number <= position || line.trim() === "") continue;
  // One by one: the next only after the answer, or they could change places.
  await bot.send(channel, line, `line-${number}`);
  await writeFile(`${done}.new`, String(number));
  await rename(`${done}.new`, done); // in one step, so that it is never half written
}
await bot.connection.close();
