# Sourced by the hooks and checks: speaks with Mattermost's API as its clients do.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# The app's own image has no shell in newer releases; PostgreSQL's has one, and the same secret.
SECRET_SERVICE=postgres
SECRET=postgres_password

# The first user, who administrates; whoever is asked first makes them.
ADMIN=recipe-sweep

# What has to outlive upgrade and restore: a channel with a post that has a file.
TEAM=recipe-sweep
KEPT=kept
KEPT_TEXT='Bread for **twelve**, and Käse 🧀'

kept_file() {
  printf 'bread;12\nK\303\244se;2 kg\n\000\001\377'
}

# mm METHOD PATH [BODY]: as api, below /api/v4.
mm() {
  patiently api "$1" "/api/v4/$2" "${@:3}"
}

# log_in NAME PASSWORD: is that user from here on.
log_in() {
  local token
  token=$(patiently token_of "$1" "$2") || return
  if [ -z "$token" ]; then
    echo "the login of $1 has no token" >&2
    return 1
  fi
  AUTH="header = \"Authorization: Bearer $token\""
}

token_of() {
  printf '{"login_id":"%s","password":"%s"}' "$1" "$2" |
    request --dump-header - --output /dev/null --header 'Content-Type: application/json' --data-binary @- \
      "$APP_URL/api/v4/users/login" | sed --quiet 's/^token: *\([a-z0-9]*\).*/\1/Ip'
}

# sign_up NAME PASSWORD: prints the new user's id.
sign_up() {
  mm POST users "$(printf '{"username":"%s","email":"%s@example.org","password":"%s"}' "$1" "$1" "$2")" |
    pick .id
}

# as_admin: is the administrator from here on, who is made where there is nobody yet.
as_admin() {
  local password
  password=$(password admin)
  log_in "$ADMIN" "$password" 2> /dev/null && return
  AUTH=
  sign_up "$ADMIN" "$password" > /dev/null
  log_in "$ADMIN" "$password"
}

# object METHOD PATH BODY: as mm, and prints the new thing's id.
object() {
  mm "$@" | pick .id
}

# id_at PATH: the id of what is there; fails where there is nothing.
id_at() {
  mm GET "$1" | pick .id
}

# a_team: the id of ours, which is made unless it is there.
a_team() {
  id_at "teams/name/$TEAM" 2> /dev/null ||
    object POST teams "{\"name\":\"$TEAM\",\"display_name\":\"Sweep\",\"type\":\"O\"}"
}

# new_channel TEAM NAME: its id.
new_channel() {
  object POST channels "{\"team_id\":\"$1\",\"name\":\"$2\",\"display_name\":\"$2\",\"type\":\"O\"}"
}

# post CHANNEL TEXT [FILE]: the new post's id; FILE is one that was uploaded.
post() {
  object POST posts "$(
    jq --null-input --arg channel "$1" --arg text "$2" --arg file "${3-}" \
      '{channel_id: $channel, message: $text, file_ids: [$file | select(. != "")]}'
  )"
}

# upload CHANNEL FILE: the id of the uploaded file.
upload() {
  request --config <(printf '%s\n' "$AUTH") --form "channel_id=$1" --form "files=@$2" "$APP_URL/api/v4/files" |
    pick '.file_infos[0].id'
}

# download FILE: its bytes.
download() {
  request --config <(printf '%s\n' "$AUTH") "$APP_URL/api/v4/files/$1"
}

# posts_of CHANNEL: all of them, a line of JSON each.
posts_of() {
  mm GET "channels/$1/posts?per_page=200" | jq --compact-output '.posts[]'
}
