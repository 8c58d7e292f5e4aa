# Sourced by the hooks and checks: speaks with Ghost as its admin page does.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

SECRET=db_password
OWNER=owner@$APP_DOMAIN

# What goes with each request: where the admin page is, and that it came encrypted, which a proxy says.
PAGE="header = \"Origin: https://$APP_DOMAIN\"
header = \"X-Forwarded-Proto: https\""
AUTH=$PAGE

ADMIN=/ghost/api/admin

# ensure_owner: sets the site up where nobody has.
ensure_owner() {
  if [ "$(api GET "$ADMIN/authentication/setup/" | jq '.setup[0].status')" = true ]; then return; fi
  jq -n --arg e "$OWNER" --arg p "$(password owner)" \
    '{setup: [{name: "Olga Owner", email: $e, password: $p, blogTitle: "recipe-sweep"}]}' |
    api POST "$ADMIN/authentication/setup/" "$(cat)" > /dev/null
}

# log_in PASSWORD: AUTH is the owner's from then on.
log_in() {
  local answer cookie
  AUTH=$PAGE
  answer=$(
    jq -n --arg u "$OWNER" --arg p "$1" '{username: $u, password: $p}' |
      request --config <(printf '%s\n' "$AUTH") --header 'Content-Type: application/json' --data-binary @- \
        --dump-header - --output /dev/null "$APP_URL$ADMIN/session/"
  ) || return 1
  cookie=$(sed -n 's/^set-cookie: *\(ghost-admin-api-session=[^;]*\).*/\1/Ip' <<< "$answer")
  [ -n "$cookie" ] || return 1
  AUTH="$PAGE
header = \"Cookie: $cookie\""
}

# publish SLUG TEXT: a post that everybody may read.
publish() {
  jq -n --arg s "$1" --arg t "$2" \
    '{posts: [{title: $s, slug: $s, html: "<p>\($t | @html)</p>", status: "published"}]}' |
    api POST "$ADMIN/posts/?source=html" "$(cat)" > /dev/null
}

# text_of SLUG: what the post says, as the owner's editor has it.
text_of() {
  api GET "$ADMIN/posts/slug/$1/?formats=plaintext" | jq --raw-output '.posts[0].plaintext'
}

# The post that has to outlive upgrade and restore.
KEPT=recipe-sweep-kept
KEPT_TEXT='Brot für zwölf & 2 kg of "cheese" 🧀'
