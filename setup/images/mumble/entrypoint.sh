#!/bin/bash
# Writes the server's configuration from MUMBLE_CONFIG_<KEY>, then becomes the server. Underscores in KEY do not
# count. MUMBLE_SUPERUSER_PASSWORD, or the file MUMBLE_SUPERUSER_PASSWORD_FILE names, is the administrator's.
set -euo pipefail

config=/data/mumble_server_config.ini
declare -A settings=(
	[database]=/data/mumble-server.sqlite
	[port]=64738
	[users]=100
	[welcometext]='Welcome'
)
while IFS= read -r -d '' variable; do
	if [[ $variable != MUMBLE_CONFIG_*=* ]]; then continue; fi
	key=${variable%%=*}
	key=${key#MUMBLE_CONFIG_}
	key=${key//_/}
	settings[${key,,}]=${variable#*=}
done < <(printenv --null)
for key in "${!settings[@]}"; do echo "$key=${settings[$key]}"; done >"$config"

set -- "$@" -ini "$config"
password=${MUMBLE_SUPERUSER_PASSWORD:-}
if [ -n "${MUMBLE_SUPERUSER_PASSWORD_FILE:-}" ]; then password=$(<"$MUMBLE_SUPERUSER_PASSWORD_FILE"); fi
if [ -n "$password" ]; then "$@" -readsupw <<<"$password"; fi

exec "$@"
