#!/bin/bash
# Makes a database in an empty /var/lib/mysql, then becomes MariaDB. Understands MYSQL_ROOT_PASSWORD, MYSQL_DATABASE,
# MYSQL_USER and MYSQL_PASSWORD, each of them also as NAME_FILE.
set -euo pipefail

DATA=/var/lib/mysql

# The value of a variable, or of the file that NAME_FILE names.
setting() {
	local name=$1 file=$1_FILE
	if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s\n' "${!name:-}"; fi
}

# A text in SQL.
quoted() {
	local text=${1//\\/\\\\}
	printf "'%s'" "${text//\'/\'\'}"
}

if [ "$1" = mysqld ]; then set -- mariadbd "${@:2}"; fi
if [ "$1" != mariadbd ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
	find "$DATA" \! -user mysql -exec chown mysql: '{}' +
	exec setpriv --reuid=mysql --regid=mysql --init-groups -- "${BASH_SOURCE[0]}" "$@"
fi

set -- "$@" --no-defaults --datadir="$DATA" --socket=/run/mysqld/mysqld.sock --bind-address=0.0.0.0
if [ ! -d "$DATA/mysql" ]; then
	password=$(setting MYSQL_ROOT_PASSWORD)
	database=$(setting MYSQL_DATABASE)
	user=$(setting MYSQL_USER)
	if [ -z "$password" ]; then
		echo 'MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE must be set' >&2
		exit 1
	fi
	mariadb-install-db --no-defaults --datadir="$DATA" --auth-root-authentication-method=normal --skip-test-db > /dev/null
	{
		echo 'FLUSH PRIVILEGES;'
		echo "ALTER USER root@localhost IDENTIFIED BY $(quoted "$password");"
		echo "CREATE USER root@'%' IDENTIFIED BY $(quoted "$password");"
		echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
		if [ -n "$database" ]; then echo "CREATE DATABASE \`$database\` CHARACTER SET utf8mb4;"; fi
		if [ -n "$user" ]; then
			echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$(setting MYSQL_PASSWORD)");"
			echo "GRANT ALL ON \`$database\`.* TO $(quoted "$user")@'%';"
		fi
	} | mariadbd --no-defaults --datadir="$DATA" --bootstrap
fi

exec "$@"
