#!/usr/bin/env bash
# Installs what making the base images needs: debootstrap. Does nothing without a container engine, or when it is there.
set -euo pipefail

docker info >/dev/null 2>&1 || exit 0
export PATH="$PATH:/usr/sbin"
command -v debootstrap >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null 2>&1 || {
    echo "setup: install debootstrap with your system's package manager, then run this again" >&2
    exit 1
}
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "setup: installing debootstrap" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
