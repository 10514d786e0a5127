#!/usr/bin/env bash
# What a viewer feels: latency from the publisher's write to the viewer's read with 1, 100 and 1000
# viewers, the time to join, connections per second, memory per viewer and idle connection, and what
# taking in publishers costs next to nginx-rtmp: perf/relay.sh [SECONDS] [ROUNDS]. With one viewer the
# node is measured in turn with a node that never sleeps and with nginx-rtmp, since most of that is
# the time that idle cores take to wake up. The node on core 0, the load on core 1.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

seconds=${1:-10}
rounds=${2:-3}
publishers=300
peer=${PEER:-21938}
ulimit -n "$(ulimit -H -n)"
lab_config '"off"' >"$work/lab.toml"
lab_config '"off"' 1000000 >"$work/spin.toml"

# alone NAME PORT: latency with one viewer.
alone() {
    local url=rtmp://127.0.0.1:$2/live/load
    background publisher "$binary" load publish --url "$url" --seconds 3600 --cores 1
    local publisher=$last
    sleep 3
    "$binary" load play --url "$url" --count 1 --seconds "$seconds" --cores 1 >"$work/alone"
    printf '%-12s %s\n' "$1" "$(sed -n 's/^latency *//p' "$work/alone")"
    stop "$publisher"
}

echo "== latency with one viewer, in turn"
for ((round = 0; round < rounds; round++)); do
    start_node --config "$work/lab.toml"
    alone node "$rtmp"
    stop_node
    start_node --config "$work/spin.toml"
    alone 'node, spins' "$rtmp"
    stop_node
    start_peer "$peer" 64
    peer_pid=$last
    alone nginx-rtmp "$peer"
    stop "$peer_pid"
done

start_node --config "$work/lab.toml"
url=rtmp://127.0.0.1:$rtmp/live/load
background publisher "$binary" load publish --url "$url" --seconds 3600 --cores 1
publisher=$last
sleep 12 # the log is full, and what it takes is not counted among the viewers
for viewers in 100 1000; do
    echo "== latency with $viewers viewers"
    "$binary" load play --url "$url" --count "$viewers" --seconds "$seconds" --cores 1 \
        --pid "$node" | grep -E 'full rate|latency|memory'
done
echo "== joining"
"$binary" load join --url "$url" --count 1000 --cores 1
echo "== connect, createStream, play, close: 50 at a time"
"$binary" load connect --url "$url" --parallel 50 --seconds "$seconds" --cores 1 --pid "$node"
stop "$publisher"
stop_node

# ingest NAME PORT PID: CPU time per ingested Mbit.
ingest() {
    ingest_us "$2" "$3" "$publishers" "$seconds"
    printf '%-12s %s us/Mbit\n' "$1" "$ingested"
}

echo "== 1000 idle connections"
start_node --config "$work/lab.toml"
for count in 16 1000; do # what the first ones cost for all is not counted
    "$binary" load idle --url "rtmp://127.0.0.1:$rtmp/live" --count "$count" --seconds 1 --cores 1 \
        --pid "$node" >"$work/idle"
done
cat "$work/idle"
stop_node

echo "== $publishers publishers of 1 Mb/s, in turn"
lab_config '"frame"' >"$work/lab.toml"
for ((round = 0; round < rounds; round++)); do
    start_node --config "$work/lab.toml"
    ingest node "$rtmp" "$node"
    stop_node
    start_peer "$peer" 4096
    peer_pid=$last
    ingest nginx-rtmp "$peer" "$peer_pid"
    stop "$peer_pid"
done
