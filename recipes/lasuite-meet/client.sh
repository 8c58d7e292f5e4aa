# Sourced by the hooks and checks: makes rooms and enters them as the app's own pages do.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The room that has to outlive upgrade and restore.
KEPT='recipe sweep kept'

log_in() {
  log_in_by_keycloak "$work/$1" /api/v1.0/authenticate/
  as_browser "$work/$1" GET /api/v1.0/users/me/ > /dev/null || fail 'the app does not know who logged in'
}

# rooms METHOD [PLACE] [JSON]: as whoever logged in `here`.
rooms() {
  as_browser "$work/here" "$1" "/api/v1.0/rooms/${2-}" "${@:3}"
}

# new_room NAME: prints it.
new_room() {
  rooms POST '' "$(jq --null-input --compact-output --arg name "$1" '{name: $name}')"
}

# named NAME: the slug of the room that is called so.
named() {
  rooms GET '' | jq --raw-output --arg name "$1" '.results[] | select(.name == $name) | .slug'
}
