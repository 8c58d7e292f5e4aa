#!/bin/bash
# Fills a new volume with what Ghost brings, then becomes Ghost.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
	find "$GHOST_CONTENT" \! -user node -exec chown node:node '{}' +
	exec setpriv --reuid=node --regid=node --init-groups -- "${BASH_SOURCE[0]}" "$@"
fi

for part in "$GHOST_INSTALL"/content.orig/*; do
	target=$GHOST_CONTENT/$(basename "$part")
	mkdir -p "$target"
	if [ -z "$(ls -A "$target")" ]; then cp -r "$part/." "$target/"; fi
done

exec "$@"
