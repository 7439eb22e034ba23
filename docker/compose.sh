#!/usr/bin/env bash
# `docker compose` on docker/compose.yaml, or the older `docker-compose` where that is what there is.
# Further files can be named with COMPOSE_FILES, separated by spaces.
set -euo pipefail
cd "$(dirname "$0")"

if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
elif command -v docker-compose >/dev/null 2>&1; then
    compose=(docker-compose)
else
    echo "compose: neither \`docker compose\` nor \`docker-compose\` is there: install one of them" >&2
    exit 1
fi
files=(--file compose.yaml)
for file in ${COMPOSE_FILES:-}; do files+=(--file "$file"); done
exec "${compose[@]}" --project-name "${COMPOSE_PROJECT_NAME:-windlass}" "${files[@]}" "$@"
