# Sourced by hooks and checks of the recipes here, with bash: what most of them need to speak with an app.
#   . "${0%/*}/../../client.sh"

fail() {
  echo "$*" >&2
  exit 1
}

# request OPTION… URL: curl, as a user would ask: within half a minute, whoever signed the certificate of a throw-away
# domain; prints the answer, and fails unless it is a good one.
request() {
  curl --silent --show-error --fail-with-body --insecure --max-time 30 "$@"
}

# api METHOD PATH [BODY]: asks the app and prints its answer; fails unless it is a good one. AUTH holds lines of a curl
# configuration that go with it, as in AUTH="header = \"Authorization: Bearer $token\"": no list of processes has them.
AUTH=
api() {
  local method=$1 path=$2
  local options=(--request "$method")
  if [ $# -gt 2 ]; then options+=(--header 'Content-Type: application/json' --data-binary @-); fi
  request "${options[@]}" --config <(printf '%s\n' "${AUTH:-silent}") "$APP_URL$path" <<< "${3-}"
}

# status OPTION… URL: the status code alone, whatever it is; 000 without an answer.
status() {
  curl --silent --insecure --max-time 30 --output /dev/null --write-out '%{http_code}' "$@" || true
}

# pick FILTER: what jq finds by it in the answer that is read; fails where there is nothing, and says what was answered.
pick() {
  local answer
  answer=$(cat)
  jq --exit-status --raw-output "$1" 2> /dev/null <<< "$answer" && return
  echo "no $1 in the answer: $(head -c 200 <<< "$answer")" >&2
  return 1
}

# random BYTES: that many of them, in hexadecimal.
random() {
  od -An -N"$1" -v -tx1 /dev/urandom | tr -d ' \n'
}

# password WHAT: one that is the same in each script of a deployment and in no other, made of the secret that the app has
# in this file.
password() {
  local secret
  secret=$(in-service "${SECRET_SERVICE:-app}" cat "/run/secrets/$SECRET") || return
  printf '%s %s' "$secret" "$1" | sha256sum | cut -c1-32
}

# eventually SECONDS COMMAND…: tries it each second until it does not fail, with what it printed then; fails with what it
# printed last.
eventually() {
  local end=$((SECONDS + $1)) printed
  shift
  until printed=$("$@" 2>&1); do
    if [ "$SECONDS" -ge "$end" ]; then
      printf '%s\n' "$printed" >&2
      return 1
    fi
    sleep 1
  done
  printf '%s\n' "$printed"
}

# visit JAR OPTION… URL: asks as a browser does, redirects not followed, with the cookies of that folder, which keeps what
# is answered: its `page` and where it leads, `location`. Cookies are kept whatever they say of TLS, which a proxy brings;
# no list of processes has them.
visit() {
  local jar=$1
  shift
  mkdir -p "$jar"
  touch "$jar/cookies"
  curl --silent --show-error --insecure --max-time 30 --dump-header "$jar/head" --output "$jar/page" \
    --config <(printf 'header = "Cookie: %s"\n' "$(paste --serial --delimiters=';' "$jar/cookies")") "$@"
  tr -d '\r' < "$jar/head" | sed -n 's/^set-cookie: \([^;]*\).*/\1/Ip' | while IFS= read -r cookie; do
    sed -i "/^${cookie%%=*}=/d" "$jar/cookies"
    printf '%s\n' "$cookie" >> "$jar/cookies"
  done
  tr -d '\r' < "$jar/head" | sed -n 's/^location: //Ip' > "$jar/location"
}

# patiently COMMAND…: asks with request, and again each second for a minute where the answer is 5xx and at no other: an
# app whose database was just put back must find it again. Prints the answer, as an error where it is not a good one.
patiently() {
  local end=$((SECONDS + 60)) printed errors
  errors=$(mktemp)
  until printed=$("$@" 2> "$errors"); do
    if [ "$SECONDS" -ge "$end" ] || ! grep --quiet 'returned error: 5' "$errors"; then
      { cat "$errors" && printf '%s\n' "$printed"; } >&2
      rm -f "$errors"
      return 1
    fi
    sleep 1
  done
  rm -f "$errors"
  printf '%s\n' "$printed"
}
