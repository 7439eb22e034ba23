#!/usr/bin/env bash
# Installs the S3 server that the tests of object storage start, into a virtual environment in the user's cache, and prints
# the path of its Python. Does nothing when it is there. Needs Python 3.10 or later with venv, and PyPI.
set -euo pipefail

packages=(
    botocore==1.43.106
    defusedxml==0.7.1
    graphql-core==3.2.12
    h11==0.16.0
    h2==4.4.1
    hpack==4.2.0
    Hypercorn==0.18.0
    hyperframe==6.1.0
    jmespath==1.1.0
    jsonata-python==0.7.1
    ministack==1.5.33
    priority==2.0.0
    python-dateutil==2.9.0.post0
    PyYAML==6.0.3
    six==1.17.0
    urllib3==2.8.0
    wsproto==1.3.2
)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/windlass/storage-venv
wanted=$(printf '%s\n' "${packages[@]}")
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
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "${packages[@]}" >&2
    "$folder/bin/python" -c 'import hypercorn, ministack.app' >/dev/null 2>&1
    printf '%s' "$wanted" >"$folder/installed"
fi
echo "$folder/bin/python"
