#!/usr/bin/env bash
# Installs the S3 server that the tests of object storage start, into a virtual environment in the user's cache, and prints
# the path of its Python. Does nothing when it is there. Needs Python 3.10 or later with venv, and PyPI.
set -euo pipefail

# One list for these tests and for the image of the compose file.
requirements=$(cd "$(dirname "$0")/.." && pwd)/docker/storage/requirements.txt
folder=${XDG_CACHE_HOME:-$HOME/.cache}/windlass/storage-venv
wanted=$(cat "$requirements")
mkdir -p "$(dirname "$folder")"
# One at a time, should several test programs ask for it at once.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$folder.lock"
    flock 9
fi

if [ "$(cat "$folder/installed" 2>/dev/null || true)" != "$wanted" ]; then
    command -v python3 >/dev/null 2>&1 || {
        echo "test-storage: python3 is missing; install it with its venv module" >&2
        exit 1
    }
    echo "test-storage: installing the S3 server of the tests into $folder" >&2
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$requirements" >&2
    "$folder/bin/python" -c 'import hypercorn, ministack.app' >/dev/null 2>&1
    printf '%s' "$wanted" >"$folder/installed"
fi
echo "$folder/bin/python"
