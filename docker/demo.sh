#!/usr/bin/env bash
# A cluster of containers makes the graph of source code that lies in object storage, then answers three questions.
# usage: WINDLASS=… [FOLDER=DIR] [API_PORT=N] docker/demo.sh
set -euo pipefail
cd "$(dirname "$0")/.."

project=examples/code_graph
source=s3://windlass/data/source
export API_PORT=${API_PORT:-50051} HTTP_PORT=${HTTP_PORT:-8080}
export WINDLASS_CLUSTER=http://127.0.0.1:$API_PORT
windlass() { "$WINDLASS" --project "$project" "$@"; }

if [ -n "${FOLDER:-}" ]; then
    folder=$(cd "$FOLDER" && pwd)
    parts=()
else
    folder=$PWD
    parts=(--only shared --only scheduler --only executor --only client)
fi

echo "== starting storage, a scheduler and two executors"
docker/up.sh
echo
echo "== putting the source code of $folder into object storage"
docker/compose.sh run --rm --no-deps --volume "$folder:/source:ro" put \
    /source "$source" --include '*.rs' --include '*.py' "${parts[@]}"

echo
echo "== the graph of that source code, made on the cluster at $WINDLASS_CLUSTER"
windlass run --source "source_files=$source"

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
echo "ask more:  $WINDLASS --cluster $WINDLASS_CLUSTER --project $project query 'SELECT …'"
echo "metrics:   http://127.0.0.1:$HTTP_PORT/metrics"
echo "stop it:   make compose-down"
