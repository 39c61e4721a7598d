// Answers messages that begin with "!echo ".    node echo.js

import { Bot, Refused } from "./bot.js";

const COMMAND = "!echo ";

const bot = await Bot.connect();
for await (const { t, d: said } of bot.events()) {
  // A bot hears itself too, and would answer for ever.
  if (t !== "MESSAGE_CREATE" || said.author_id === bot.id) continue;
  if (!said.content.startsWith(COMMAND)) continue;
  try {
    // The nonce names the answer: if the event comes again, it is the same message.
    await bot.send(said.conversation_id, said.content.slice(COMMAND.length), `echo-${said.id}`);
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused;
    console.log(refused.message); // such as after it was removed from the channel
  }
}
