#!/usr/bin/env bash
# Writes all that happens into a file, each entry once, whatever dies.    ./modlog.sh FILE
source "${BASH_SOURCE%/*}/bot.sh"

# One event to a line. The last line of a conversation is also how far it has been logged: what was
# done and how far that is are one write, and nothing can come between them.
file=$1
declare -A last

load() {
  touch "$file"
  # A torn last line was not acknowledged, and will come again.
  if [[ $(tail -c 1 "$file" | od -An -tx1) != *0a* ]]; then
    truncate -s "-$(tail -n 1 "$file" | wc -c)" "$file"
  fi
  local conversation id
  while read -r conversation id; do last[$conversation]=$id; done \
    < <(jq -r '"\(.d.conversation_id) \(.d.id)"' "$file")
}

add() {
  local conversation id
  read -r conversation id < <(jq -r '"\(.d.conversation_id) \(.d.id)"' <<<"$1")
  # Logged already, and only the acknowledgement was lost?
  newer "$id" "${last[$conversation]:-0}" || return 0
  printf '%s\n' "$1" >>"$file" && sync "$file" && last[$conversation]=$id
}

# What was left out because too much waited, from after `from` to before `to`.
fill() {
  local conversation after to more=true page event
  read -r conversation after to < <(jq -r '.d | "\(.conversation_id) \(.from) \(.to)"' <<<"$1")
  while [[ $more = true ]]; do
    # Refused: it is in the channel no more, and may not read it.
    page=$(ask api.entries.list "$(jq -nc --arg c "$conversation" --arg after "$after" \
      '{conversation_id: $c, $after, limit: 100}')") || return 0
    while IFS= read -r event; do
      newer "$to" "$(jq -r .d.id <<<"$event")" || return 0
      add "$event" || return
    done < <(jq -c '.entries[]' <<<"$page")
    read -r more after < <(jq -r '"\(.has_more) \(.next)"' <<<"$page")
  done
}

handle() {
  if [[ $(jq -r .t <<<"$1") = GAP ]]; then fill "$1"; else add "$1"; fi
}

load
events handle
