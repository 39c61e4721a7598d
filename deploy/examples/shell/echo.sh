#!/usr/bin/env bash
# Answers messages that begin with "!echo ".    ./echo.sh
source "${BASH_SOURCE%/*}/bot.sh"

handle() {
  local kind author conversation id content
  { read -r kind; read -r author; read -r conversation; read -r id; IFS= read -r -d '' content; } \
    < <(jq -r '.t, .d.author_id, .d.conversation_id, .d.id, .d.content' <<<"$1")
  # A bot hears itself too, and would answer for ever.
  if [[ $kind = MESSAGE_CREATE && $author != "$BOT_ID" && $content = '!echo '* ]]; then
    # The nonce names the answer: if the event comes again, it is the same message. A refusal, such as
    # after it was removed from the channel, has been told.
    send "$conversation" "${content#!echo }" "echo-$id" >/dev/null || return 0
  fi
}

events handle
