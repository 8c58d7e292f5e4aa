# Sourced by the hooks and checks: speaks with Immich's API as its apps do.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# The secret of the database, from which the passwords here are made.
SECRET_SERVICE=database
SECRET=db_password

ADMIN=recipe-sweep@example.org

# The picture that has to outlive upgrade and restore.
KEPT=recipe-sweep-kept.png
KEPT_MARK='bread for twelve'

# picture TEXT: one pixel as PNG, with something of its own behind it.
picture() {
  base64 --decode << 'END'
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
END
  printf '%s' "$1"
}

# immich METHOD PATH [BODY]: as api, below /api.
immich() {
  patiently api "$1" "/api/$2" "${@:3}"
}

# log_in EMAIL PASSWORD: is that user from here on.
log_in() {
  local token
  AUTH=
  token=$(immich POST auth/login "{\"email\":\"$1\",\"password\":\"$2\"}" | pick .accessToken) || return
  AUTH="header = \"Authorization: Bearer $token\""
}

# as_admin: is the administrator from here on, who signs up where there is none yet.
as_admin() {
  local password
  password=$(password admin)
  log_in "$ADMIN" "$password" 2> /dev/null && return
  immich POST auth/admin-sign-up "{\"email\":\"$ADMIN\",\"name\":\"Sweep\",\"password\":\"$password\"}" > /dev/null
  log_in "$ADMIN" "$password"
}

# upload FILE: the id of what the picture is there. One that is there already is not taken twice.
upload() {
  patiently sent "$1" | pick .id
}

sent() {
  local now
  now=$(date --utc +%Y-%m-%dT%H:%M:%S.000Z)
  request --config <(printf '%s\n' "$AUTH") --form "assetData=@$1;type=image/png" \
    --form "deviceAssetId=${1##*/}" --form deviceId=recipe-sweep \
    --form "fileCreatedAt=$now" --form "fileModifiedAt=$now" "$APP_URL/api/assets"
}

# download PATH: what is there below /api/assets/, byte by byte.
download() {
  request --config <(printf '%s\n' "$AUTH") "$APP_URL/api/assets/$1"
}
