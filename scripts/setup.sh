#!/usr/bin/env bash
# Installs what building Windlass needs besides Rust: a C compiler (grammars and compression are C), make, and protoc with the
# types that come with it (for the API of etcd).
# Does nothing when it is all there. Debian and Ubuntu; elsewhere it says what to install.
set -euo pipefail

if ! command -v cargo >/dev/null 2>&1; then
    [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
fi
command -v cargo >/dev/null 2>&1 || {
    echo "setup: Rust is missing: install it with rustup, then run this again" >&2
    exit 1
}

missing=()
command -v cc >/dev/null 2>&1 || missing+=(build-essential)
command -v make >/dev/null 2>&1 || missing+=(make)
protoc=${PROTOC:-$(command -v protoc || true)}
[ -n "$protoc" ] || missing+=(protobuf-compiler)
# Debian has the types in a package of their own, which the compiler's does not insist on.
case $protoc in
"" | /usr/bin/protoc) [ -e /usr/include/google/protobuf/descriptor.proto ] || missing+=(libprotobuf-dev) ;;
esac
[ ${#missing[@]} -eq 0 ] && exit 0

command -v apt-get >/dev/null 2>&1 || {
    echo "setup: install a C compiler, make and protoc with your system's package manager, then run this again" >&2
    exit 1
}
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "setup: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
