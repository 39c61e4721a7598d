"""Writes all that happens into a file, each entry once, whatever dies.    python modlog.py FILE"""

import asyncio
import json
import os
import sys

from bot import Bot, Refused


class Log:
    """One event to a line. The last line of a conversation is also how far it has been logged: what
    was done and how far that is are one write, and nothing can come between them."""

    def __init__(self, path):
        self.last = {}
        self.file = open(path, "a+b")
        self.file.seek(0)
        whole = 0
        for line in self.file:
            if not line.endswith(b"\n"):
                break  # torn: it was not acknowledged, and will come again
            whole += len(line)
            self.note(json.loads(line)["d"])
        self.file.truncate(whole)

    def note(self, entry):
        self.last[entry["conversation_id"]] = int(entry["id"])

    def add(self, event):
        entry = event["d"]
        if int(entry["id"]) <= self.last.get(entry["conversation_id"], 0):
            return  # logged already, and only the acknowledgement was lost
        self.file.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.note(entry)


async def fill(bot, log, gap):
    """What was left out because too much waited, from after `from` to before `to`."""
    conversation, to = gap["conversation_id"], int(gap["to"])
    after, more = gap["from"], True
    while more:
        request = {"conversation_id": conversation, "after": after, "limit": 100}
        page = await bot.ask("api.entries.list", request)
        for event in page["entries"]:
            if int(event["d"]["id"]) >= to:
                return
            log.add(event)
        after, more = page["next"], page["has_more"]


async def main():
    log = Log(sys.argv[1])
    bot = await Bot.connect()
    async for event in bot.events():
        if event["t"] != "GAP":
            log.add(event)
            continue
        try:
            await fill(bot, log, event["d"])
        except Refused as refused:
            print(refused, flush=True)  # it is in the channel no more, and may not read it


asyncio.run(main())
