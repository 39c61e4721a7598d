"""Answers messages that begin with "!echo ".    python echo.py"""

import asyncio

from bot import Bot, Refused

COMMAND = "!echo "


async def main():
    bot = await Bot.connect()
    async for event in bot.events():
        said = event["d"]
        if event["t"] != "MESSAGE_CREATE" or said["author_id"] == bot.id:
            continue  # a bot hears itself too, and would answer for ever
        if said["content"].startswith(COMMAND):
            try:
                # The nonce names the answer: if the event comes again, it is the same message.
                answer = said["content"].removeprefix(COMMAND)
                await bot.send(said["conversation_id"], answer, nonce=f"echo-{said['id']}")
            except Refused as refused:
                print(refused, flush=True)  # such as after it was removed from the channel


asyncio.run(main())
