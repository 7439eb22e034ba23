#!/usr/bin/env bash
# Makes the archive of a home as this version writes it: tests/fixtures/home-v0/README.md says what is in it.
# usage: WINDLASS=$CARGO_TARGET_DIR/debug/windlass scripts/freeze-home.sh [FOLDER]
# FOLDER holds the projects shop and feed, and gets home.tar.gz; by default tests/fixtures/home-v0.
set -euo pipefail
cd "$(dirname "$0")/.."

windlass=$(realpath "${WINDLASS:?name the built command, such as WINDLASS=\$CARGO_TARGET_DIR/debug/windlass}")
folder=$(realpath "${1:-tests/fixtures/home-v0}")
# What a home remembers of an export is found by the whole path of its folder.
place=/tmp/$(basename "$folder" | sed 's/^/windlass-/')
[ ! -e "$folder/home.tar.gz" ] || {
    echo "freeze-home: $folder/home.tar.gz is there already, and must stay as it is; give a later form a folder of its own" >&2
    exit 1
}

rm -rf "$place"
mkdir -p "$place"
feed_home=$(mktemp -d)
trap 'rm -rf "$place" "$feed_home"' EXIT
cp -R "$folder/shop" "$folder/feed" "$place/"
mkdir "$place/feed/seeds"

# Bundles say on which host they were made: not on this one, where that can be had.
apart=()
if unshare --user --map-root-user --uts true 2>/dev/null; then
    apart=(unshare --user --map-root-user --uts sh -c 'hostname frozen && exec "$@"' sh)
fi
run() {
    "${apart[@]}" env -u WINDLASS_HOME -u WINDLASS_CLUSTER "$windlass" "$@"
}
feed() {
    run --project "$place/feed" --home "$feed_home" run
}
shop() {
    run --project "$place/shop" --home "$place/home" "$@"
}

printf 'id,customer,amount\n1,ada,5\n2,bo,20\n3,ada,-1\n' >"$place/feed/seeds/orders.csv"
printf 'id,what\n1,open\n2,open\n' >"$place/feed/seeds/events.csv"
feed
shop run
# An order that is put right, another one, and one more event.
printf 'id,customer,amount\n2,bo,25\n4,cy,7\n' >"$place/feed/seeds/orders.csv"
printf 'id,what\n3,close\n' >"$place/feed/seeds/events.csv"
feed
shop run

shop query 'SELECT * FROM totals ORDER BY customer'
shop runs show
rm -rf "$place/home/work" "$place/home/writer.lock"
# With times of change to the nanosecond.
tar --create --gzip --format=posix --sort=name --owner=0 --group=0 --numeric-owner \
    --file "$folder/home.tar.gz" --directory "$place" home lake out
bytes=$(stat -c %s "$folder/home.tar.gz")
[ "$bytes" -lt 300000 ] || echo "freeze-home: the archive has $bytes bytes; it should have less than 300000" >&2
if tar --extract --gzip --file "$folder/home.tar.gz" --to-stdout | grep -aqF "$(uname -n)"; then
    echo "freeze-home: the archive names this machine, $(uname -n); look at it before it is committed" >&2
fi
echo "made $folder/home.tar.gz, $bytes bytes"
