# Sourced by the hooks and checks: makes rooms and enters them as the app's own pages do.
# shellcheck source=../la-suite.sh
. "${BASH_SOURCE[0]%/*}/../la-suite.sh"

# The room that has to outlive upgrade and restore.
KEPT='recipe sweep kept'

# rooms METHOD [PLACE] [JSON]: as whoever logged in `here`.
rooms() {
  as_browser here "$1" "/api/v1.0/rooms/${2-}" "${@:3}"
}

# new_room NAME: prints it.
new_room() {
  rooms POST '' "$(jq --null-input --compact-output --arg name "$1" '{name: $name}')"
}

# named NAME: the slug of the room that is called so.
named() {
  rooms GET '' | jq --raw-output --arg name "$1" '.results[] | select(.name == $name) | .slug'
}
