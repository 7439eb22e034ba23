#!/usr/bin/env bash
# Compares the Delta tables of two folders with readers that are not Windlass: run.sh DIR_A DIR_B
# Checks the comparison itself: run.sh --self-test
# Runs a program of your own with the same packages: run.sh --python FILE
# The Python packages go into a virtual environment of their own, made when first needed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

key=$(sha256sum "$here/requirements.txt" | cut -c1-12)
venv="${XDG_CACHE_HOME:-$HOME/.cache}/windlass/readers-$key"
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv" || {
        echo "run.sh: a virtual environment is needed: apt-get install python3-venv" >&2
        exit 2
    }
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
    touch "$venv/ready"
fi

if [ "${1:-}" = --self-test ]; then
    cd "$here"
    exec "$venv/bin/python" -B -m unittest --quiet test_compare
fi
if [ "${1:-}" = --python ]; then
    shift
    exec "$venv/bin/python" -B "$@"
fi
exec "$venv/bin/python" -B "$here/compare.py" "$@"
