# Sourced by the hooks and checks: keeps files as the app's own pages do.
# shellcheck source=../la-suite.sh
. "${BASH_SOURCE[0]%/*}/../la-suite.sh"

# The folder, and the file in it, that have to outlive upgrade and restore.
KEPT='recipe-sweep kept'
KEPT_TEXT='twelve loaves'

# discovery: which files Collabora opens, as it says itself. Its image has had curl and has had none; MinIO's has one.
discovery() {
  local ask=(curl --silent --show-error --fail --max-time 20)
  in-service collabora "${ask[@]}" http://localhost:9980/hosting/discovery 2> /dev/null ||
    in-service minio "${ask[@]}" http://collabora:9980/hosting/discovery
}

# items METHOD [PLACE] [JSON]: as whoever logged in `here`.
items() {
  as_browser here "$1" "/api/v1.0/items/${2-}" "${@:3}"
}

# new_folder TITLE: prints its id.
new_folder() {
  items POST '' "$(jq --null-input --compact-output --arg title "$1" '{type: "folder", title: $title}')" |
    pick .id
}

# titled TITLE [PLACE]: the id of what is called so.
titled() {
  items GET "${2-}" | jq --raw-output --arg title "$1" '[.results[] | select(.title == $title) | .id][0] // empty'
}

# store PUT-URL: puts what comes on standard input into the object store, from beside it, since the name that the app signs for
# people may lead nowhere on a throw-away domain. The address as it is signed, but for its host.
store() {
  local place=${1#*://}
  in-service minio curl --silent --show-error --fail --max-time 30 --request PUT --header 'x-amz-acl: private' \
    --header "Host: ${place%%/*}" --data-binary @- --output /dev/null "http://localhost:9000/${place#*/}"
}

# upload FOLDER NAME FILE: prints the new file's id.
upload() {
  local item id
  item=$(items POST "$1/children/" "$(jq --null-input --compact-output --arg name "$2" '{type: "file", filename: $name, title: $name}')")
  id=$(pick .id <<< "$item")
  store "$(jq --raw-output .policy <<< "$item")" < "$3"
  items POST "$id/upload-ended/" '{}' > /dev/null
  printf '%s' "$id"
}

# download ID: what the file holds.
download() {
  local url
  url=$(items GET "$1/" | jq --raw-output .url)
  as_browser here GET "/${url#*://*/}"
}
