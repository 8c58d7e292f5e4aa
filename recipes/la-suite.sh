# Sourced by the hooks and checks of La Suite's apps, which log people in and are asked alike.
# shellcheck source=client.sh
. "${BASH_SOURCE[0]%/*}/client.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# log_in BROWSER: as the run's user, by way of Keycloak's form; browsers of other names know nothing of each other. Fails
# where Keycloak or the app does not let them in.
log_in() {
  local jar=$work/$1 form back
  rm -rf "$jar"
  visit "$jar" "$APP_URL/api/v1.0/authenticate/"
  [ -s "$jar/location" ] || fail "the app does not send to Keycloak who logs in, and says: $(head -c 300 "$jar/page")"
  visit "$jar/keycloak" "$(cat "$jar/location")"
  form=$(grep -o 'action="[^"]*"' "$jar/keycloak/page" | sed -n 1p | cut -d '"' -f 2 | sed 's/&amp;/\&/g')
  [ -n "$form" ] || fail "Keycloak shows no form to log in with: $(head -c 300 "$jar/keycloak/page")"
  visit "$jar/keycloak" --config <(
    printf 'data-urlencode = "username=%s"\ndata-urlencode = "password=%s"\n' "$DEP_KEYCLOAK_USER" "$DEP_KEYCLOAK_PASSWORD"
  ) "$form"
  back=$(cat "$jar/keycloak/location")
  [[ $back == "https://$APP_DOMAIN/"* ]] || fail "Keycloak does not send back to the app, but to ${back:-nowhere}"
  visit "$jar" "$APP_URL/${back#"https://$APP_DOMAIN/"}"
  as_browser "$1" GET /api/v1.0/users/me/ > /dev/null || fail 'the app does not know who logged in'
}

# ask_as BROWSER OPTION… PATH: asks the app as its own pages do, as whoever logged in there; prints the answer.
ask_as() {
  local cookies=$work/$1/cookies
  request --config <(
    printf 'header = "Cookie: %s"\n' "$(paste --serial --delimiters=';' "$cookies")"
    printf 'header = "X-CSRFToken: %s"\n' "$(sed -n 's/^csrftoken=//p' "$cookies")"
  ) --header "Referer: https://$APP_DOMAIN/" "${@:2:$#-2}" "$APP_URL${!#}"
}

# as_browser BROWSER METHOD PATH [JSON]: the same of its API.
as_browser() {
  local options=(--request "$2")
  if [ $# -gt 3 ]; then options+=(--header 'Content-Type: application/json' --data-binary @-); fi
  ask_as "$1" "${options[@]}" "$3" <<< "${4-}"
}

# check_login: what each of them must do of logins. The run's user gets in by way of Keycloak and is who they are; a wrong
# password lets nobody in, nor does none.
check_login() {
  log_in here
  local email answer
  email=$(as_browser here GET /api/v1.0/users/me/ | jq --raw-output .email)
  [ "$email" = "$DEP_KEYCLOAK_USER@example.org" ] || fail "the app takes them for $email"
  if (DEP_KEYCLOAK_PASSWORD=wrong log_in there) 2> /dev/null; then fail 'a wrong password lets them in'; fi
  answer=$(status "$APP_URL/api/v1.0/users/me/")
  [ "$answer" = 401 ] || [ "$answer" = 403 ] || fail "without a login the app answers $answer"
  echo "logged in as $email"
}
