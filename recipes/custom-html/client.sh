# Sourced by the hooks and checks: puts files where they are served from, as `abra app cp` does.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# put NAME: what comes on standard input becomes that file.
put() {
  in-service app sh -c 'mkdir -p "$(dirname "$0")" && cat > "$0" && chmod 644 "$0"' "/usr/share/nginx/html/$1"
}

# take_away NAME: it, or the whole folder.
take_away() {
  in-service app rm -rf "/usr/share/nginx/html/$1"
}
