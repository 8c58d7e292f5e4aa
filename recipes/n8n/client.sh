# Sourced by the hooks and checks: speaks with n8n as its page does.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

OWNER=owner@$APP_DOMAIN

# The recipe has no secret of which a password could be made, and whoever comes first sets the app up: this one is good
# for as long as a test runs.
PASSWORD=A1$(printf '%s owner' "$STACK_NAME" | sha256sum | cut -c1-24)

# ensure_owner: sets the app up where nobody has.
ensure_owner() {
  [ "$(api GET /rest/settings | jq .data.userManagement.showSetupOnFirstLoad)" = true ] || return 0
  jq -n --arg e "$OWNER" --arg p "$PASSWORD" '{email: $e, firstName: "Olga", lastName: "Owner", password: $p}' |
    api POST /rest/owner/setup "$(cat)" > /dev/null
}

# log_in PASSWORD: AUTH is the owner's from then on. Five a minute are let in, and curl waits as long as it is told to.
log_in() {
  local answer cookie
  AUTH=
  answer=$(
    jq -n --arg u "$OWNER" --arg p "$1" '{emailOrLdapLoginId: $u, password: $p}' |
      request --retry 2 --header 'Content-Type: application/json' --data-binary @- --dump-header - --output /dev/null \
        "$APP_URL/rest/login"
  ) || return 1
  cookie=$(sed -n 's/^set-cookie: *\(n8n-auth=[^;]*\).*/\1/Ip' <<< "$answer")
  [ -n "$cookie" ] || return 1
  AUTH="header = \"Cookie: $cookie\""
}

# create NAME PATH TEXT: makes a workflow that answers who asks that webhook with the text; prints what was made.
create() {
  api POST /rest/workflows "$(
    jq -n --arg name "$1" --arg path "$2" --arg text "$3" '{
      name: $name, active: false, settings: {executionOrder: "v1"},
      nodes: [
        {id: "hook", name: "Hook", type: "n8n-nodes-base.webhook", typeVersion: 2, position: [0, 0], webhookId: $path,
          parameters: {path: $path, responseMode: "lastNode", options: {}}},
        {id: "set", name: "Set", type: "n8n-nodes-base.set", typeVersion: 3.4, position: [200, 0],
          parameters: {options: {}, assignments: {assignments: [
            {id: "text", name: "text", type: "string", value: $text}]}}}
      ],
      connections: {Hook: {main: [[{node: "Set", type: "main", index: 0}]]}}
    }'
  )" | jq --compact-output .data
}

# id_of NAME: the id of the workflow that is called so.
id_of() {
  api GET /rest/workflows | jq --raw-output --arg name "$1" '.data[] | select(.name == $name).id'
}

# text_of ID: what the workflow answers, as it is drawn.
text_of() {
  api GET "/rest/workflows/$1" |
    jq --raw-output '.data.nodes[] | select(.name == "Set").parameters.assignments.assignments[0].value'
}

# The workflow that has to outlive upgrade and restore.
KEPT='Brot & Käse 🧀'
KEPT_TEXT='two kilograms of "Käse" for '"'zwölf'"
