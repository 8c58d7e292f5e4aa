# Sourced by the hooks and checks: speaks with the forge of the run, and logs in to the app as a person with a browser does.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# Who builds: an administrator of the run's forge.
BUILDER=builder

forge=$(docker ps --quiet --filter "label=com.docker.swarm.service.name=${DEP_GITEA_STACK_NAME}_app" | sed -n 1p)
: "${forge:?the forge has no running task}"
# A secret that lives as long as that forge.
FORGE_PASSWORD=$(docker exec "$forge" sha256sum /run/secrets/secret_key | cut -c1-32)

# at_forge METHOD PATH [BODY]: asks the forge as the builder.
at_forge() {
  APP_URL=$DEP_GITEA_URL AUTH="user = \"$BUILDER:$FORGE_PASSWORD\"" api "$@"
}

# ensure_builder: makes the builder, which only the forge's own command can for the first.
ensure_builder() {
  if at_forge GET /api/v1/user > /dev/null 2>&1; then return; fi
  docker exec --interactive "$forge" sh -c 'read -r password && gitea admin user create --admin --username "$0" \
    --email "$0@example.org" --password "$password" --must-change-password=false' "$BUILDER" <<< "$FORGE_PASSWORD"
}

# hidden NAME: the value of a hidden field of the forge's form; empty where the page has none of that name.
hidden() {
  grep -o '<input[^>]*>' forge/page | grep "name=\"$1\"" | sed -n 's/.*value="\([^"]*\)".*/\1/p' | sed -n 1p |
    sed 's/&amp;/\&/g'
}

# field NAME VALUE: a line of a curl configuration that sends it.
field() {
  printf 'data-urlencode = "%s=%s"\n' "$1" "$2"
}

# log_in: from the app's login by way of the forge's form and its question whether the app may know who that is, back to
# the app; the cookies of the app are in `app` then.
log_in() {
  rm -rf app forge
  visit app "$APP_URL/login"
  local to ask
  ask=$(cat app/location)
  # the forge by the address at which this host asks it, whatever scheme the app sends people to
  to=$DEP_GITEA_URL/${ask#*://*/}
  visit forge "$DEP_GITEA_URL/user/login"
  visit forge --config <(
    field _csrf "$(hidden _csrf)"
    field user_name "$BUILDER"
    field password "$FORGE_PASSWORD"
  ) "$DEP_GITEA_URL/user/login"
  visit forge "$to"
  if [ ! -s forge/location ]; then
    visit forge --config <(
      for name in _csrf client_id state scope nonce redirect_uri; do field "$name" "$(hidden "$name")"; done
      field granted true
    ) "$DEP_GITEA_URL/login/oauth/grant"
  fi
  local back
  back=$(cat forge/location)
  case $back in
    "https://$APP_DOMAIN/login?"*) ;;
    *) fail "the forge does not send back to the app: ${back:-$(head -c 300 forge/page)}" ;;
  esac
  visit app "$APP_URL/${back#"https://$APP_DOMAIN/"}"
  if grep --quiet /login/error app/location; then fail "the app lets nobody in: $(cat app/location)"; fi
}

# as_builder METHOD PATH [BODY]: asks the app with the token of the builder, who logs in for it.
TOKEN=
as_builder() {
  if [ -z "$TOKEN" ]; then
    log_in
    visit app --request POST "$APP_URL/api/user/token"
    TOKEN=$(jq --raw-output '.token // empty' app/page)
    [ -n "$TOKEN" ] || fail "whoever logged in gets no token: $(head -c 300 app/page)"
  fi
  AUTH="header = \"Authorization: Bearer $TOKEN\"" api "$@"
}

# make_project NAME: sees to it that the forge has a repository with a pipeline of two steps, which the app builds.
make_project() {
  local pipeline repository=/api/v1/repos/$BUILDER/$1
  if ! at_forge GET "$repository" > /dev/null 2>&1; then
    at_forge POST /api/v1/user/repos "{\"name\":\"$1\",\"default_branch\":\"main\"}" > /dev/null
  fi
  if ! at_forge GET "$repository/contents/.drone.yml" > /dev/null 2>&1; then
    pipeline=$(
      cat << END
kind: pipeline
type: docker
name: default
steps:
  - name: bake
    image: debian:13
    commands: [make bread]
  - name: taste
    image: debian:13
    commands: [make tasted]
END
    )
    at_forge POST "$repository/contents/.drone.yml" \
      "{\"branch\":\"main\",\"message\":\"How to build\",\"content\":\"$(base64 --wrap=0 <<< "$pipeline")\"}" > /dev/null
  fi
  as_builder POST '/api/user/repos?async=false' > /dev/null
  as_builder POST "/api/repos/$BUILDER/$1" > /dev/null
}
