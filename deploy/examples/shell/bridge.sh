#!/usr/bin/env bash
# Publishes the lines of a file, each once and in order.    ./bridge.sh FILE CHANNEL_ID
#
# Started again, it goes on where it was: FILE.done has the number of the last line that was
# answered. The one after it may have been written without the answer being seen; its nonce, which is
# its number, makes it the same message.
source "${BASH_SOURCE%/*}/bot.sh"

file=$1 channel=$2 number=0
position=$(cat "$file.done" 2>/dev/null || echo 0)
while IFS= read -r line || [[ $line ]]; do
  ((++number > position)) && [[ $line = *[![:space:]]* ]] || continue
  # One by one: the next only after the answer, or they could change places.
  send "$channel" "$line" "line-$number" >/dev/null || exit
  # In one step, so that it is never half written.
  echo "$number" >"$file.done.new" && mv "$file.done.new" "$file.done" || exit
done <"$file"
