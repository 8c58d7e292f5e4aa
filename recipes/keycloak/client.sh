# Sourced by the checks: speaks with Keycloak as an administrator, in a throw-away realm.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# Always the same one, so that what a killed check left goes with the next.
REALM=recipe-sweep-check

# grant REALM FIELD…: asks for a token with that form, a line NAME=VALUE each; prints the answer. No list of processes has it.
grant() {
  local realm=$1
  shift
  printf '%s\n' "$@" | jq --raw-input --raw-output '(index("=")) as $at | "\(.[:$at])=\(.[$at + 1:] | @uri)"' |
    paste --serial --delimiters='&' | request --data @- "$APP_URL/realms/$realm/protocol/openid-connect/token"
}

# as_admin: from here on api asks as the administrator whom the configuration names, or else whom the recipe made.
as_admin() {
  local name=${KEYCLOAK_ADMIN_USER-} secret=${KEYCLOAK_ADMIN_PASSWORD-} answer token
  if [ -z "$name" ]; then name=$(in-service app sh -c 'printf %s "${ADMIN_USERNAME:-admin}"'); fi
  if [ -z "$secret" ]; then secret=$(in-service app cat /run/secrets/admin_password); fi
  answer=$(grant master grant_type=password client_id=admin-cli "username=$name" "password=$secret") ||
    fail "$name gets no token in master: $answer"
  token=$(pick .access_token <<< "$answer")
  AUTH="header = \"Authorization: Bearer $token\""
}

remove_realm() {
  api DELETE "/admin/realms/$REALM" > /dev/null 2>&1 || true
}

# make_realm JSON: what is in it, all at once: there is no half of it. It goes when the check ends.
make_realm() {
  local made
  trap remove_realm EXIT
  remove_realm
  made=$(api POST /admin/realms "$(jq --arg realm "$REALM" '. + { realm: $realm, enabled: true }' <<< "$1")") ||
    fail "the realm cannot be made: $made"
}
