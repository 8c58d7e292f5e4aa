#!/bin/bash
# Becomes Synapse with the configuration /data/homeserver.yaml, or what SYNAPSE_CONFIG_PATH names, as the user 991. A
# signing key that it names and is not there is made.
set -euo pipefail

config=${SYNAPSE_CONFIG_PATH:-/data/homeserver.yaml}
find /data -path "$config" -o \! -user synapse -exec chown synapse:synapse '{}' +
as_synapse=(setpriv --reuid=synapse --regid=synapse --init-groups --)
synapse=(python3 -m synapse.app.homeserver --config-path "$config")
"${as_synapse[@]}" "${synapse[@]}" --generate-keys
exec "${as_synapse[@]}" "${synapse[@]}"
