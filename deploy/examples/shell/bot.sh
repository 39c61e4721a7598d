# What every bot needs: asking, taking events. For bash 4 with `nats`, jq and GNU
# coreutils; to be sourced.
#
# From the environment: NATS_URL and NATS_CREDS (the path of the credentials file), which `nats` reads
# by itself, and BOT_ID.

: "${NATS_URL:?}" "${NATS_CREDS:?}" "${BOT_ID:?}"

# The inbox prefix is the only place where a bot may hear anything. Without --no-templates, {{ in
# what people wrote would be carried out.
bus() {
  local command=$1
  shift
  nats --inbox-prefix "_INBOX_$BOT_ID" "$command" "$@"
}

# ask WHAT REQUEST: the answer, asked for until there is one. Status 1: a refusal that asking again
# does not change. Safe for everything but a message without a nonce, which each try would write
# once more.
ask() {
  local answer code
  while :; do
    answer=$(bus req "bot.$BOT_ID.$1" "$2" --raw --no-templates --timeout 10s 2>/dev/null)
    code=$(jq -r '.error.code // empty' <<<"$answer")
    case ${answer:+$code} in
      unavailable | timeout | unknown_outcome | rate_limited) ;;
      '') if [[ $answer ]]; then printf '%s\n' "$answer"; return; fi ;; # else nobody answered
      *) echo "$1: $answer" >&2; return 1 ;;
    esac
    sleep "$(jq -rn --argjson a "${answer:-null}" '($a.error.retry_after_ms // 500) / 1000')"
  done
}

# send CONVERSATION CONTENT NONCE: a message, once, however often with this nonce in 5 minutes.
send() {
  ask "send.$1" "$(jq -nc --arg content "$2" --arg nonce "$3" '{$content, $nonce}')"
}

# events HANDLER: calls it with each event, for ever, and acknowledges the event when it succeeds;
# one that was not comes again. Messages arrive in an inbox, each as JSON with its place to
# acknowledge it, and a NUL after it.
events() {
  local inbox="_INBOX_$BOT_ID.events.$$" message reply
  # Silence means that nobody pulls any more: this process is gone, and so goes `nats sub`.
  exec {arrived}< <(exec nats --inbox-prefix "_INBOX_$BOT_ID" sub "$inbox" --dump=- --wait 20s)
  while :; do
    bus pub "\$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_$BOT_ID" '{"batch": 1, "expires": 5000000000}' \
      --reply "$inbox" --quiet --no-templates
    IFS= read -r -d '' -t 7 -u "$arrived" message
    case $? in
      0) ;;
      1) echo "nats sub has ended" >&2; return 1 ;;
      *) continue ;; # the time ran out: the connection is being made anew
    esac
    # What the server itself says, such as that nothing happened, has no place for an answer.
    reply=$(jq -r '.Reply // empty' <<<"$message")
    [[ $reply ]] || continue
    "$1" "$(jq -r '.Data | @base64d' <<<"$message")" || return
    bus pub "$reply" +ACK --quiet --no-templates
  done
}

# newer A B: whether an id is above another; they have up to 64 bits, which bash takes for signed.
newer() {
  ((${#1} > ${#2})) || [[ ${#1} = "${#2}" && $1 > $2 ]]
}
