# Sourced by the hooks and checks: speaks Mumble's protocol with the server.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

# task_address: where the app's task is reached from this host, by the bridge that the swarm's tasks share: behind a
# proxy its ports may be published nowhere.
task_address() {
  local container
  container=$(
    docker ps --no-trunc --quiet --filter "label=com.docker.swarm.service.name=${STACK_NAME}_app" | sed -n 1p
  )
  [ -n "$container" ] || fail 'the service app has no running task'
  docker network inspect --format "{{with index .Containers \"$container\"}}{{.IPv4Address}}{{end}}" docker_gwbridge |
    cut -d / -f 1
}

# mumble COMMAND…: what mumble.mjs says.
mumble() {
  node "${BASH_SOURCE[0]%/*}/mumble.mjs" "$@"
}

MUMBLE_HOST=${APP_ADDRESS-$(task_address)}
export MUMBLE_HOST

# as_superuser COMMAND…: with the administrator's password.
as_superuser() {
  in-service app sh -c 'cat /run/secrets/*superuser*' | mumble "$@"
}
