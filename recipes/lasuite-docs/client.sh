# Sourced by the hooks and checks: writes and reads documents as the app's own pages do.
# shellcheck source=../la-suite.sh
. "${BASH_SOURCE[0]%/*}/../la-suite.sh"

# The document that has to outlive upgrade and restore. What a document says travels as base64.
KEPT='recipe-sweep kept'
KEPT_TEXT='The assembly of March: everybody came.'

# documents BROWSER METHOD [PLACE] [JSON]
documents() {
  as_browser "$1" "$2" "/api/v1.0/documents/${3-}" "${@:4}"
}

# new_document BROWSER TITLE TEXT: prints its id.
new_document() {
  documents "$1" POST '' "$(jq --null-input --compact-output --arg title "$2" --arg text "$3" \
    '{title: $title, content: ($text | @base64)}')" | jq --raw-output .id
}

# text_of BROWSER ID
text_of() {
  documents "$1" GET "$2/" | jq --raw-output '.content | @base64d'
}

# titled BROWSER TITLE: the ids of the documents that are called so.
titled() {
  documents "$1" GET "?title=$(jq --null-input --raw-output --arg title "$2" '$title | @uri')" |
    jq --raw-output --arg title "$2" '.results[] | select(.title == $title) | .id'
}
