# Sourced by the hooks and checks: speaks XRPC with the PDS.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

SECRET=pds_admin_password

# xrpc METHOD NAME [BODY]: calls it, as AUTH says.
xrpc() {
  local method=$1 name=$2
  shift 2
  api "$method" "/xrpc/com.atproto.$name" "$@"
}

bearer() {
  AUTH="header = \"Authorization: Bearer $1\""
}

# log_in HANDLE PASSWORD: AUTH is theirs from then on, and DID who they are.
log_in() {
  local session
  AUTH=
  session=$(xrpc POST server.createSession "$(jq -n --arg i "$1" --arg p "$2" '{identifier: $i, password: $p}')") ||
    return 1
  DID=$(jq --raw-output .did <<< "$session")
  bearer "$(jq --raw-output .accessJwt <<< "$session")"
}

# register NAME PASSWORD: makes an account by an invitation of the admin's.
register() {
  local code
  AUTH="user = \"admin:$(in-service app cat "/run/secrets/$SECRET")\""
  code=$(xrpc POST server.createInviteCode '{"useCount":1}' | jq --raw-output .code)
  AUTH=
  jq -n --arg n "$1" --arg d "$APP_DOMAIN" --arg p "$2" --arg c "$code" \
    '{handle: "\($n).\($d)", email: "\($n)@\($d)", password: $p, inviteCode: $c}' |
    xrpc POST server.createAccount "$(cat)" > /dev/null
}

# put KEY TEXT [EMBED]: writes a post of that record key.
put() {
  jq -n --arg did "$DID" --arg key "$1" --arg text "$2" --argjson embed "${3:-null}" '{
    repo: $did, collection: "app.bsky.feed.post", rkey: $key,
    record: ({"$type": "app.bsky.feed.post", text: $text, createdAt: (now | todate)}
      + if $embed == null then {} else {embed: $embed} end)
  }' | xrpc POST repo.putRecord "$(cat)" > /dev/null
}

# text_of KEY: the text of a post, as anybody reads it.
text_of() {
  AUTH='' xrpc GET "repo.getRecord?repo=$DID&collection=app.bsky.feed.post&rkey=$1" | jq --raw-output .value.text
}

# key: a record key that none has yet, which has the form of a time.
key() {
  printf '3%s' "$(LC_ALL=C tr -dc 'a-z2-7' < <(head -c 1000 /dev/urandom) | head -c 12)"
}

# Who has to outlive upgrade and restore, and with what.
KEPT=kept
KEPT_KEY=3jzfcijpj2z2a
KEPT_TEXT='Brot für zwölf, and 2 kg of cheese 🧀'
