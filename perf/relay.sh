#!/usr/bin/env bash
# What a viewer feels: latency from the publisher's write to the viewer's read with 1, 100 and 1000
# viewers, the time to join, connections per second, memory, and what taking in publishers costs
# next to nginx-rtmp: perf/relay.sh [SECONDS]. The node on core 0, the load on core 1.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

seconds=${1:-10}
peer=${PEER:-21938}
ulimit -n "$(ulimit -H -n)"
lab_config '"off"' >"$work/lab.toml"
start_node --config "$work/lab.toml"
url=rtmp://127.0.0.1:$rtmp/live/load
background publisher "$binary" load publish --url "$url" --seconds 3600 --cores 1
publisher=$last
sleep 3
for viewers in 1 100 1000; do
    echo "== latency with $viewers viewers"
    "$binary" load play --url "$url" --count "$viewers" --seconds "$seconds" --cores 1 \
        --pid "$node" | grep -E 'full rate|latency|memory'
done
echo "== joining"
"$binary" load join --url "$url" --count 1000 --cores 1
echo "== connect, createStream, play, close: 50 at a time"
"$binary" load connect --url "$url" --parallel 50 --seconds "$seconds" --cores 1 --pid "$node"
stop "$publisher"
echo "== 300 publishers of 1 Mb/s"
ingest() { "$binary" load publish --url "rtmp://127.0.0.1:$1/live/in" --count 300 \
    --bitrate 872000 --seconds "$seconds" --cores 1 --pid "$2" | grep -E 'late|CPU'; }
ingest "$rtmp" "$node"
stop_node
start_nginx "$peer" 4096
taskset -pc 0 "$last" >/dev/null
sleep 1
echo "== the same, nginx-rtmp"
ingest "$peer" "$last"
