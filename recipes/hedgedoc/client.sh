# Sourced by the hooks and checks: makes and reads notes as other programs do.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# The note that has to outlive upgrade and restore.
KEPT=recipe-sweep-kept
KEPT_TEXT=$'# Assembly\n\n- bread for **twelve**\n- Käse, 2 kg\n'

# publish NAME [OPTION…]: makes a note of what comes on standard input, at that name or one of the app's, and prints where.
publish() {
  local name=$1 text to
  shift
  text=$(cat)
  to=$(patiently sent "$@")
  [ -n "$to" ] || fail 'a new note leads nowhere'
  printf '%s' "${to##*/}"
}

sent() {
  request "$@" --header 'Content-Type: text/markdown' --data-binary @- --output /dev/null \
    --write-out '%{redirect_url}' "$APP_URL/new${name:+/$name}" <<< "$text"
}

# text_of NAME: the note's Markdown. An app that is busy answers 503.
text_of() {
  patiently request "$APP_URL/$1/download"
}
