# Sourced by the hooks and checks: speaks Socket.IO with Uptime Kuma, by long polling, as its page does where there is no
# WebSocket.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

OWNER=owner

# connect: opens a connection, and keeps what the app says on it in a file.
connect() {
  local opened
  SOCKET="$APP_URL/socket.io/?EIO=4&transport=polling"
  SAID=$(mktemp)
  trap 'rm -f "$SAID"' EXIT
  opened=$(request "$SOCKET") || fail "no connection: $opened"
  SOCKET="$SOCKET&sid=$(jq --raw-output .sid <<< "${opened#0}")"
  send 40
  listen
}

# send PACKET: what is in it is nobody else's to see.
send() {
  request --header 'Content-Type: text/plain;charset=UTF-8' --data-binary @- --output /dev/null "$SOCKET" <<< "$1"
}

# listen: waits for what the app says next. It asks now and then whether we are there.
listen() {
  local packet
  while IFS= read -r packet; do
    if [ "$packet" = 2 ]; then send 3; else printf '%s\n' "$packet" >> "$SAID"; fi
  done < <(request "$SOCKET" | tr '\036' '\n' | sed '$a\')
}

# emit EVENT [ARGUMENT…]: tells the app that, with arguments in JSON, and prints its answer; fails where it is not ok.
emit() {
  local event=$1 number=$((16#$(random 3))) answer tries=0
  shift
  send "42$number$(printf '%s\n' "$@" | jq --slurp --compact-output --arg event "$event" '[$event] + .')"
  until answer=$(grep --max-count 1 "^43$number\[" "$SAID"); do
    tries=$((tries + 1))
    [ "$tries" -le 20 ] || fail "no answer to $event"
    listen
  done
  answer=$(jq --compact-output '.[0]' <<< "${answer#43"$number"}")
  printf '%s\n' "$answer"
  jq --exit-status 'if type == "object" and has("ok") then .ok else true end' <<< "$answer" > /dev/null
}

# told EVENT: what the app said of that last, by itself; waits for it where it did not yet.
told() {
  local said tries=0
  until said=$(grep "^42\[\"$1\"," "$SAID" | tail -n 1) && [ -n "$said" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 5 ] || fail "nothing is said of $1"
    listen
  done
  jq --compact-output '.[1]' <<< "${said#42}"
}

# log_in PASSWORD: as the owner; what the owner sees is told from then on.
log_in() {
  emit login "$(jq -n --arg u "$OWNER" --arg p "$1" '{username: $u, password: $p, token: ""}')" > /dev/null
}

# The recipe has no secret of which a password could be made, and whoever comes first sets the app up: this one is good
# for as long as a test runs.
PASSWORD=A$(printf '%s owner' "$STACK_NAME" | sha256sum | cut -c1-24)

# ensure_owner: sets the app up where nobody has, and logs in.
ensure_owner() {
  if [ "$(emit needSetup)" = true ]; then emit setup "\"$OWNER\"" "\"$PASSWORD\"" > /dev/null; fi
  log_in "$PASSWORD" || fail 'the owner does not log in'
}

# monitor NAME URL: has that watched, each 20 seconds, and prints its number.
monitor() {
  emit add "$(
    jq -n --arg name "$1" --arg url "$2" '{
      type: "http", name: $name, url: $url, method: "GET", interval: 20, retryInterval: 20, resendInterval: 0,
      maxretries: 0, timeout: 10, notificationIDList: {}, ignoreTls: false, upsideDown: false, maxredirects: 10,
      accepted_statuscodes: ["200-299"], authMethod: null
    }'
  )" | jq .monitorID
}

# number_of NAME: the number of the monitor that is called so.
number_of() {
  told monitorList | jq --arg name "$1" '.[] | select(.name == $name).id'
}

# The monitor that has to outlive upgrade and restore.
KEPT='Brot & Käse 🧀'
KEPT_URL=http://localhost:3001/robots.txt
