#!/usr/bin/env bash
# How many viewers one core serves at full rate: perf/most.sh [SECONDS]. The node on core 0, the load
# on core 1. Where not all get 98 % of the messages, the CPU time says whether the load is the limit.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

seconds=${1:-20}
ulimit -n "$(ulimit -H -n)"

# serve MERGE VIEWERS
serve() {
    lab_config "$1" >"$work/lab.toml"
    start_node --config "$work/lab.toml"
    local url=rtmp://127.0.0.1:$rtmp/live/load publisher
    background publisher "$binary" load publish --url "$url" --seconds 600 --cores 1
    publisher=$last
    sleep 1
    echo "== merge = $1, $2 viewers"
    "$binary" load play --url "$url" --count "$2" --seconds "$seconds" --cores 1 --pid "$node" |
        grep -E 'full rate|pictures|latency|CPU|memory'
    stop "$publisher"
    stop_node
}

serve '"frame"' 3000
serve 350 5000
