# Sourced by the hooks and checks: sites and events.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# The site that has to outlive upgrade and restore, and what was visited of it.
KEPT=kept.recipe-sweep.example.org
KEPT_PAGE=/bread-for-twelve

# A browser, since what is none is not counted.
BROWSER='Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'

# in_postgres QUERY: what it prints. Where the service does not say which user and database are Plausible's, they are those
# of its own way to be hosted.
in_postgres() {
  in-service db sh -c 'exec psql --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-plausible_db}" \
    --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --command "$0"' "$1"
}

# in_clickhouse QUERY: what it prints.
in_clickhouse() {
  in-service plausible_events_db clickhouse-client --database plausible_events_db --query "$1"
}

# register DOMAIN: a site whose numbers are public, unless it is there. It was changed tomorrow, since an app that was put
# back looks soon for what changed lately alone, and is not well before it has found a site.
register() {
  in_postgres "INSERT INTO sites (domain, timezone, public, inserted_at, updated_at)
    SELECT '$1', 'Etc/UTC', true, now(), now() + interval '1 day' WHERE NOT EXISTS (SELECT FROM sites WHERE domain = '$1')"
}

# event DOMAIN NAME PATH: as a page of that site sends it; fails where it is not counted.
event() {
  local dropped
  dropped=$(
    request --user-agent "$BROWSER" --header 'Content-Type: application/json' --dump-header - --output /dev/null \
      --data-binary "{\"domain\":\"$1\",\"name\":\"$2\",\"url\":\"https://$1$3\"}" "$APP_URL/api/event" |
      sed --quiet 's/^x-plausible-dropped: *\([0-9]*\).*/\1/Ip'
  )
  [ -z "$dropped" ] || fail "the event $2 of $1 was dropped"
}

# counted DOMAIN NAME PATH: says how many such events there are; fails while there is none.
counted() {
  local found
  found=$(
    in_clickhouse "SELECT count(*) FROM events_v2 WHERE hostname = '$1' AND name = '$2' AND pathname = '$3'"
  )
  echo "${found:-no} events $2 of $1$3"
  [ "${found:-0}" -gt 0 ]
}

# record DOMAIN NAME PATH: such an event is sent, and counted. A new site is known after a while, and events are written
# some seconds after they came.
record() {
  eventually 90 event "$@" > /dev/null || return
  eventually 60 counted "$@" || fail "the event $2 of $1$3 is not counted within a minute"
}
