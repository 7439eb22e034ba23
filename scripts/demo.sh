#!/usr/bin/env bash
# The main job: the graph of real source code, built on an embedded cluster, then asked three questions.
# usage: WINDLASS=… DEMO_HOME=… scripts/demo.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-}
[ -n "$folder" ] || folder=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/ 2>/dev/null | head -n 1 || true)
[ -d "$folder" ] || {
    echo "demo: \`$folder\` is no folder; name one with source code: make demo FOLDER=/path/to/code" >&2
    exit 1
}
project=examples/code_graph
windlass() { "$WINDLASS" --project "$project" --home "$DEMO_HOME" "$@"; }

echo "== the graph of the source code in $folder"
windlass run --source "source_files=$folder"

echo
echo "== what went in and what came out"
windlass query "
    SELECT sum(files) AS files, sum(bytes) AS bytes, sum(definitions) AS definitions, sum(calls) AS calls
    FROM repo_summary"
for table in cpg_nodes cpg_edges cpg_props; do
    windlass query "SELECT count(*) AS $table FROM $table"
done

for question in "$project"/questions/*.sql; do
    echo
    sed -n '1s/^-- */== /p' "$question"
    windlass query --file "$question"
done

echo
echo "ask more:  $WINDLASS --project $project --home $DEMO_HOME query 'SELECT …'"
echo "look back: $WINDLASS --project $project --home $DEMO_HOME explain latest cpg_edges"
