# Sourced by the hooks and checks: writes and reads documents as the app's own pages do.
# shellcheck source=../la-suite.sh
. "${BASH_SOURCE[0]%/*}/../la-suite.sh"

# The document that has to outlive upgrade and restore.
KEPT='recipe-sweep kept'
KEPT_TEXT='The assembly of March: everybody came.'

# documents BROWSER METHOD [PLACE] [JSON]
documents() {
  as_browser "$1" "$2" "/api/v1.0/documents/${3-}" "${@:4}"
}

# content TEXT: a document that says it, of fewer than 128 bytes, as the app's pages send one: what Yjs calls an update, in
# base64. Here it inserts one text under the name `text`, as client 1.
content() {
  jq --null-input --raw-output --arg text "$1" \
    '"\u0001\u0001\u0001\u0000\u0004\u0001\u0004text" + ([$text | utf8bytelength] | implode) + $text + "\u0000" | @base64'
}

# new_document BROWSER TITLE TEXT: prints its id.
new_document() {
  documents "$1" POST '' "$(jq --null-input --compact-output --arg title "$2" --arg content "$(content "$3")" \
    '{title: $title, content: $content}')" | pick .id
}

# text_of BROWSER ID: what such a document says.
text_of() {
  documents "$1" GET "$2/" | pick '.content | @base64d | .[12:-1]'
}

# titled BROWSER TITLE: the ids of the documents that are called so.
titled() {
  documents "$1" GET "?title=$(jq --null-input --raw-output --arg title "$2" '$title | @uri')" |
    jq --raw-output --arg title "$2" '.results[] | select(.title == $title) | .id'
}
