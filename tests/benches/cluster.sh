#!/usr/bin/env bash
# How much faster a pipeline is on two executors of one vcore than on one: by turns on the same machine, and a line of
# Markdown with the medians goes to stdout.
# usage: BIN=target/debug tests/benches/cluster.sh RUNS PROJECT [NAME=LOCATION …]
set -euo pipefail

bin=${BIN:-target/release}
runs=$1 project=$2
shift 2
sources=()
for source in "$@"; do sources+=(--source "$source"); done
folder=$(mktemp -d)
pids=()
stop() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    [ ${#pids[@]} -eq 0 ] || wait "${pids[@]}" 2>/dev/null || true
    pids=()
}
trap 'stop; rm -rf "$folder"' EXIT

# Starts a cluster of $1 executors whose ports begin at $2, and waits until all have joined.
start() {
    local executors=$1 port=$2
    "$bin/windlass" scheduler --home "$folder/home-$executors" --state-dir "$folder/state-$executors" --log warn \
        --api-bind "127.0.0.1:$port" --engine-bind "127.0.0.1:$((port + 1))" --http-bind "127.0.0.1:$((port + 2))" \
        2>>"$folder/log" &
    pids+=($!)
    for number in $(seq "$executors"); do
        "$bin/windlass" executor --scheduler "127.0.0.1:$((port + 1))" --vcores 1 --memory 4GiB --log warn \
            --work-dir "$folder/work-$executors-$number" --http-bind "127.0.0.1:$((port + 2 + number))" \
            --flight-port 0 --grpc-port 0 2>>"$folder/log" &
        pids+=($!)
    done
    for _ in $(seq 300); do
        exec 3<>"/dev/tcp/127.0.0.1/$((port + 2))" 2>/dev/null || { sleep 0.1; continue; }
        printf 'GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' >&3
        grep -q "^windlass_executors $executors" <&3 && return
        sleep 0.1
    done
    echo "the cluster of $executors executors does not start: $(tail -n 5 "$folder/log")" >&2
    exit 1
}

# Milliseconds that the run took by its own record.
measure() {
    "$bin/windlass" --cluster "http://127.0.0.1:$1" --project "$project" run "${sources[@]}" --output json 2>/dev/null |
        python3 -c '
import datetime, json, sys
run = json.load(sys.stdin)["run"]
assert run["status"] == "succeeded", run
at = lambda key: datetime.datetime.fromisoformat(run[key].replace("Z", "+00:00"))
print(int((at("ended_at") - at("started_at")).total_seconds() * 1000))'
}

# One cluster at a time, so that the other does not take part of the machine.
one=() two=()
for run in $(seq 0 "$runs"); do
    start 1 50171 && took_one=$(measure 50171) && stop
    start 2 50181 && took_two=$(measure 50181) && stop
    # The first pair only warms the machine's caches.
    [ "$run" -eq 0 ] || { one+=("$took_one") && two+=("$took_two"); }
done
python3 - "$project" "${one[*]}" "${two[*]}" <<'PYTHON'
import statistics, sys
project, one, two = sys.argv[1], *([int(ms) / 1000 for ms in text.split()] for text in sys.argv[2:])
ratios = sorted(a / b for a, b in zip(one, two))
print(f"| {project} | {statistics.median(one):.2f} | {statistics.median(two):.2f} | "
      f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {len(one)} |")
PYTHON
