# Sourced by the hooks and checks: speaks with the server as a client of Matrix does.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

SECRET_SERVICE=db
SECRET=db_password

# Whose room has to outlive upgrade and restore, and what is said in it.
KEEPER=recipe-sweep
KEPT=kept
KEPT_TEXT='Bread for **twelve**, and Käse 🧀'

kept_file() {
  printf 'bread;12\nK\303\244se;2 kg\n\000\001\377'
}

# matrix METHOD PATH [BODY]: as api, below /_matrix/client.
matrix() {
  patiently api "$1" "/_matrix/client/$2" "${@:3}"
}

# sign_up NAME PASSWORD: makes that user, and is them from here on. It is the server's own administration that makes
# them, which the proxy does not lead to: nobody else need be allowed to, and it takes no login, of which a server takes
# few in a row from one address.
sign_up() {
  local token
  token=$(patiently made "$1" "$2") || return
  if [ -z "$token" ]; then
    echo "no token for $1, who was just made" >&2
    return 1
  fi
  AUTH="header = \"Authorization: Bearer $token\""
}

made() {
  in-service app python3 - << END
import hashlib, hmac, json, sys, urllib.request, yaml

def ask(body=None):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request("http://localhost:8008/_synapse/admin/v1/register", body, headers)
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        sys.exit(f"returned error: {error.code} {error.read().decode()}")

secret = yaml.safe_load(open("/data/homeserver.yaml"))["registration_shared_secret"]
user = {"nonce": ask()["nonce"], "username": "$1", "password": "$2", "admin": False}
told = [user["nonce"], user["username"], user["password"], "notadmin"]
user["mac"] = hmac.new(secret.encode(), "\\0".join(told).encode(), hashlib.sha1).hexdigest()
print(ask(json.dumps(user).encode())["access_token"])
END
}

# log_in NAME PASSWORD: is that user from here on.
log_in() {
  local token
  AUTH=
  token=$(
    matrix POST v3/login "$(
      printf '{"type":"m.login.password","identifier":{"type":"m.id.user","user":"%s"},"password":"%s"}' "$1" "$2"
    )" | pick .access_token
  ) || return
  AUTH="header = \"Authorization: Bearer $token\""
}

# uri TEXT: as part of a path.
uri() {
  jq --null-input --raw-output --arg text "$1" '$text | @uri'
}

# server: its name, which is in the identifiers of all that it has.
server() {
  matrix GET v3/account/whoami | pick '.user_id | sub("^[^:]*:"; "")'
}

# new_room [ALIAS]: its identifier.
new_room() {
  matrix POST v3/createRoom "$(
    jq --null-input --arg alias "${1-}" \
      '{preset: "private_chat"} + if $alias == "" then {} else {room_alias_name: $alias} end'
  )" | pick .room_id
}

# room_of ALIAS: the room that is called so; fails where there is none.
room_of() {
  matrix GET "v3/directory/room/$(uri "#$1:$(server)")" | pick .room_id
}

# say ROOM CONTENT: the event that it becomes, once, however often it is tried.
say() {
  matrix PUT "v3/rooms/$(uri "$1")/send/m.room.message/$(random 8)" "$2" | pick .event_id
}

# text TEXT: the content of a message that says it.
text() {
  jq --null-input --arg text "$1" '{msgtype: "m.text", body: $text}'
}

# messages ROOM: the newest hundred, a line of JSON each.
messages() {
  matrix GET "v3/rooms/$(uri "$1")/messages?dir=b&limit=100" |
    jq --compact-output '.chunk[] | select(.type == "m.room.message")'
}

# upload FILE: the URI of what it is on the server.
upload() {
  patiently sent "$1" | pick .content_uri
}

sent() {
  request --config <(printf '%s\n' "$AUTH") --header 'Content-Type: application/octet-stream' \
    --data-binary "@$1" "$APP_URL/_matrix/media/v3/upload?filename=${1##*/}"
}

# download URI: its bytes.
download() {
  request --config <(printf '%s\n' "$AUTH") "$APP_URL/_matrix/client/v1/media/download/${1#mxc://}"
}
