# Sourced by the hooks and checks: documents as people's browsers write them.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

KEPT=recipe-sweep-kept
KEPT_TEXT='twelve loaves, ordered by everybody'

# pad COMMAND PAD [TEXT]: see pad.mjs. Whoever signed the certificate of a throw-away domain.
pad() {
  NODE_TLS_REJECT_UNAUTHORIZED=0 NODE_NO_WARNINGS=1 node --experimental-websocket "${BASH_SOURCE[0]%/*}/pad.mjs" "$@"
}
