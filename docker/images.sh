#!/usr/bin/env bash
# Builds the images of docker/compose.yaml with the binaries that `make build` has made.
# usage: [BASE=IMAGE] [TARGET_DIR=DIR] docker/images.sh [etcd]
#
# BASE is what they start from: by default the image that docker/base-image.sh makes, which needs no registry. Its Debian
# must be as new as the machine that built the binaries.
set -euo pipefail
cd "$(dirname "$0")/.."

binaries=${TARGET_DIR:-target}/debug
context=${TARGET_DIR:-target}/image
base=${BASE:-windlass-base:bookworm}
[ -n "${BASE:-}" ] || docker/base-image.sh run

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# What the builder says is of interest only when it fails. The image that a new one replaces is removed.
build() {
    local tag=$1 before
    shift
    echo "images: $tag" >&2
    before=$(docker image inspect --format '{{.Id}}' "$tag" 2>/dev/null || true)
    docker build --tag "$tag" --build-arg BASE="$base" "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        exit 1
    }
    [ -z "$before" ] || [ "$before" = "$(docker image inspect --format '{{.Id}}' "$tag")" ] ||
        docker image rm "$before" >/dev/null 2>&1 || true
}

if [ "${1:-}" = etcd ]; then
    build windlass-etcd:dev - <docker/etcd.Dockerfile
    exit 0
fi

mkdir -p "$context"
[ -x "$binaries/windlass" ] || {
    echo "images: $binaries/windlass is missing: run \`make build\` first" >&2
    exit 1
}
# Symbols make up most of such a binary, and only a debugger needs them.
if [ "$binaries/windlass" -nt "$context/windlass" ]; then strip -o "$context/windlass" "$binaries/windlass"; fi

build windlass-storage:dev --file docker/storage.Dockerfile docker/storage
build windlass-runtime:dev --target runtime - <docker/Dockerfile
build windlass:dev --build-arg RUNTIME=windlass-runtime:dev --file docker/test.Dockerfile "$context"
docker run --rm windlass:dev windlass --version >/dev/null || {
    echo "images: the binaries do not run on $base: build them on the same release of Debian, or name a newer BASE" >&2
    exit 1
}
