#!/usr/bin/env bash
# Installs the etcd that the tests of the state store start. Does nothing when it is there. Debian and Ubuntu; elsewhere it
# says what to install.
set -euo pipefail

command -v etcd >/dev/null 2>&1 && exit 0
command -v apt-get >/dev/null 2>&1 || {
    echo "test-etcd: install etcd with your system's package manager, then run this again" >&2
    exit 1
}
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "test-etcd: installing etcd-server" >&2
"${as_root[@]}" apt-get update -qq
# The package would start a server of its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends etcd-server
