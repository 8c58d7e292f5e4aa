#!/bin/bash
# Makes a database in an empty PGDATA, then becomes PostgreSQL. Understands POSTGRES_USER, POSTGRES_DB,
# POSTGRES_PASSWORD, each of them also as NAME_FILE, and scripts in /docker-entrypoint-initdb.d.
set -euo pipefail

# The value of a variable, or of the file that NAME_FILE names, or else the default.
setting() {
	local name=$1 file=$1_FILE
	if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s\n' "${!name:-$2}"; fi
}

if [ "${1#-}" != "$1" ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA"
	find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
	chmod 700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
	user=$(setting POSTGRES_USER postgres)
	database=$(setting POSTGRES_DB "$user")
	password=$(setting POSTGRES_PASSWORD '')
	if [ -z "$password" ]; then
		echo 'POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set' >&2
		exit 1
	fi
	initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-local=trust --auth-host=scram-sha-256
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	# nobody else may come before it is whole
	pg_ctl --wait --options="-c listen_addresses=''" start
	if [ "$database" != postgres ]; then createdb --username="$user" --no-password -- "$database"; fi
	for script in /docker-entrypoint-initdb.d/*; do
		case $script in
			*.sh) . "$script" ;;
			*.sql) psql -v ON_ERROR_STOP=1 --username="$user" --no-password --dbname="$database" --file="$script" ;;
		esac
	done
	pg_ctl --wait --mode=fast stop
fi

exec "$@"
