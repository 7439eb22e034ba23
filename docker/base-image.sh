#!/usr/bin/env bash
# Makes the images that the Dockerfiles start from out of Debian's packages, for an engine that reaches no registry.
# Does nothing for an image that exists. They stand in for the pinned images of the Dockerfiles' ARGs:
#
#   docker/base-image.sh        windlass-base:bookworm        instead of debian:bookworm-slim    (BASE)
#   docker/base-image.sh rust   windlass-base:bookworm-rust   instead of rust:bookworm           (RUST)
#
# The second takes this machine's own Rust. Both trust the certificates that this machine trusts besides Debian's, so that
# packages can be fetched from behind a company's proxy; that is one of the reasons not to publish them.
set -euo pipefail
cd "$(dirname "$0")/.."

# Empty: what debootstrap takes by itself.
mirror=${DEBIAN_MIRROR:-}
security=${DEBIAN_SECURITY_MIRROR:-}
run_image=windlass-base:bookworm
rust_image=windlass-base:bookworm-rust

have() { docker image inspect "$1" >/dev/null 2>&1; }

# Runs as root: a Debian in the folder $1, without what no container reads. Packages installed later stay as slim.
make_root() {
    local root=$1
    export DEBIAN_FRONTEND=noninteractive
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${mirror:+"$mirror"}
    mirror=${mirror:-$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")}
    mirror=${mirror%/}
    security=${security:-${mirror%/debian}/debian-security}
    printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates "$security" bookworm-security \
        >"$root/etc/apt/sources.list"
    printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$root/etc/dpkg/dpkg.cfg.d/windlass-trim"
    printf '%s\n' 'Dir::Cache { pkgcache ""; srcpkgcache ""; };' 'APT::Keep-Downloaded-Packages "false";' \
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$root/etc/apt/apt.conf.d/90windlass-trim"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} +
    chroot "$root" update-ca-certificates
    chroot "$root" apt-get -qq update
    chroot "$root" apt-get -qq -y upgrade
    rm -rf "$root"/usr/share/{doc,info,locale,man}/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old \
        "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/etc/resolv.conf "$root"/etc/hostname
}

make_run_image() {
    docker/setup.sh
    echo "base-image: making $run_image (a minute or two)" >&2
    "${as_root[@]}" env PATH="$PATH:/usr/sbin" mirror="$mirror" security="$security" \
        bash -euo pipefail -c "$(declare -f make_root)"'; make_root "$1"' make_root "$work/root" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        echo "base-image: that failed; another mirror can be named with DEBIAN_MIRROR" >&2
        exit 1
    }
    "${as_root[@]}" tar -C "$work/root" --numeric-owner --sort=name -c . |
        docker import --change 'CMD ["bash"]' --message 'debootstrap bookworm' - "$run_image" >/dev/null
}

make_rust_image() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    echo "base-image: making $rust_image with $(rustc --version)" >&2
    container=$(docker create "$run_image" bash -euc \
        'apt-get -qq update
         DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends build-essential >/dev/null
         rm -rf /var/lib/apt/lists/*')
    docker start --attach "$container" >/dev/null
    tar -C "$sysroot" --numeric-owner --owner=0 --group=0 --exclude=share/doc -c bin lib |
        docker cp - "$container:/usr/local"
    docker commit --change 'CMD ["bash"]' "$container" "$rust_image" >/dev/null
}

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
container=
work=$(mktemp -d)
leave() {
    [ -z "$container" ] || docker rm --force "$container" >/dev/null
    "${as_root[@]}" rm -rf --one-file-system "$work"
}
trap leave EXIT

have "$run_image" || make_run_image
case ${1:-run} in
run) ;;
rust) have "$rust_image" || make_rust_image ;;
*)
    echo "base-image: $1 is no base image; there are \`run\` and \`rust\`" >&2
    exit 2
    ;;
esac
