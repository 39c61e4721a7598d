"""What every bot needs: connecting, asking, taking events.

From the environment: NATS_URL, NATS_CREDS (the path of the credentials file) and BOT_ID.
"""

import asyncio
import json
import os

import nats
from nats.errors import NoRespondersError, TimeoutError

# Asking again may help; any other refusal stays one.
AGAIN = {"unavailable", "timeout", "unknown_outcome", "rate_limited"}


class Refused(Exception):
    """An answer that asking again does not change."""


class Bot:
    def __init__(self, connection, id):
        self.connection = connection
        self.id = id

    @classmethod
    async def connect(cls):
        id = os.environ["BOT_ID"]
        connection = await nats.connect(
            os.environ["NATS_URL"],
            user_credentials=os.environ["NATS_CREDS"],
            inbox_prefix=f"_INBOX_{id}",  # the only place where a bot may hear anything
            max_reconnect_attempts=-1,  # reconnects for ever
        )
        return cls(connection, id)

    async def ask(self, what, request):
        """The answer to a request, asked until there is one. Safe for everything but a message
        without a nonce, which each try would write once more."""
        while True:
            try:
                reply = await self.connection.request(
                    f"bot.{self.id}.{what}", json.dumps(request).encode(), timeout=10
                )
                answer = json.loads(reply.data)
            except (TimeoutError, NoRespondersError):
                answer = {"error": {"code": "timeout"}}
            error = answer.get("error")
            if error is None:
                return answer
            if error["code"] not in AGAIN:
                raise Refused(f"{what}: {error['code']}, {error['message']}")
            await asyncio.sleep(error.get("retry_after_ms", 500) / 1000)

    async def send(self, conversation, content, nonce):
        """Writes a message, once, however often it is asked for with this nonce in 5 minutes."""
        return await self.ask(f"send.{conversation}", {"content": content, "nonce": nonce})

    async def events(self):
        """Every event, for ever. It is acknowledged when the next one is wanted; one that was not,
        as the bot died over it, comes again."""
        consumer = await self.connection.jetstream().pull_subscribe_bind(
            consumer=f"bot_{self.id}", stream="BOTS"
        )
        while True:
            try:
                [message] = await consumer.fetch(1, timeout=5)
            except TimeoutError:
                continue  # nothing happened, or the connection is being made anew
            yield json.loads(message.data)
            await message.ack()
