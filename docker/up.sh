#!/usr/bin/env bash
# Starts the cluster of docker/compose.yaml, or the services that are named, and waits until all that runs is healthy.
# usage: docker/up.sh [SERVICE …]
set -euo pipefail
cd "$(dirname "$0")"

patience=${UP_PATIENCE:-180}
./compose.sh up --detach "$@"
mapfile -t containers < <(./compose.sh ps --quiet)
states() { docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Health.Status}}' "$@"; }

until ! states "${containers[@]}" | grep -qv ' healthy$'; do
    [ "$SECONDS" -lt "$patience" ] || {
        echo "up: not healthy after $patience seconds:" >&2
        states "${containers[@]}" >&2
        ./compose.sh logs --tail 20 >&2
        exit 1
    }
    sleep 1
done
