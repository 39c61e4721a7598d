"""Publishes the lines of a file, each once and in order.    python bridge.py FILE CHANNEL_ID

Started again, it goes on where it was: FILE.done has the number of the last line that was
answered. The one after it may have been written without the answer being seen; its nonce, which is
its number, makes it the same message.
"""

import asyncio
import sys
from pathlib import Path

from bot import Bot


async def main(path, channel):
    bot = await Bot.connect()
    done, fresh = Path(f"{path}.done"), Path(f"{path}.done.new")
    position = int(done.read_text()) if done.exists() else 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if number <= position or not line.strip():
                continue
            # One by one: the next only after the answer, or they could change places.
            await bot.send(channel, line.rstrip("\n"), nonce=f"line-{number}")
            fresh.write_text(str(number))
            fresh.replace(done)  # in one step, so that it is never half written
    await bot.connection.close()


asyncio.run(main(*sys.argv[1:]))
