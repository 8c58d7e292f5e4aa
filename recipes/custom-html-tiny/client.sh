# Sourced by the hooks and checks. The image may hold no shell, so files are copied from outside, into the one volume
# that is served.
# shellcheck source=../client.sh
. "${BASH_SOURCE[0]%/*}/../client.sh"

container=$(docker ps --quiet --filter "label=com.docker.swarm.service.name=${STACK_NAME}_app" | sed -n 1p)
: "${container:?the service app has no running task}"
volume='{{range .Mounts}}{{if eq .Type "volume"}}{{println .Destination}}{{end}}{{end}}'
folder=$(docker inspect --format "$volume" "$container" | sed -n 1p)
: "${folder:?the service app has no volume}"

# has NAME: whether the volume has that file.
has() {
  docker cp "$container:$folder/$1" - > /dev/null 2>&1
}

# put NAME: what comes on standard input becomes that file.
put() {
  local page
  page=$(mktemp)
  cat > "$page"
  chmod 644 "$page"
  docker cp "$page" "$container:$folder/$1" > /dev/null
  rm "$page"
}
