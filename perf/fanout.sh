#!/usr/bin/env bash
# Many viewers of one published stream, on one core: perf/fanout.sh [VIEWERS] [SECONDS] [ROUNDS]
#
# CPU time per delivered Mbit of this node, of nginx-rtmp, of node-media-server if NMS names its
# start script, and of a bare loop of sendmsg (what the machine can do at best), one after the other
# in each round, servers on core 0 and the load on core 1. Shows the medians of the rounds: of the
# times, and of the ratios of what ran in the same round, as the machine itself is not always as fast.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

viewers=${1:-1000}
seconds=${2:-20}
rounds=${3:-3}
peer=${PEER:-21938}
ulimit -n "$(ulimit -H -n)"

# with_load NAME PORT PID: publishes to the port, plays, and notes the figures under the name.
with_load() {
    local name=$1 url=rtmp://127.0.0.1:$2/live/load pid=$3 publisher
    background publisher "$binary" load publish --url "$url" --seconds $((seconds + 60)) --cores 1
    publisher=$last
    sleep 1
    "$binary" load play --url "$url" --count "$viewers" --seconds "$seconds" --cores 1 \
        --pid "$pid" --json >"$work/figures" || die "$name failed"
    stop "$publisher"
    note "$name" cpu_per_mbit_us at_full_rate memory_per_viewer_kib
}

# note NAME FIELD...: appends fields of the JSON figures to the name's file.
note() {
    local name=$1 field row=
    shift
    for field in "$@"; do row+="$(awk -F'[:,]' -v f="\"$field\"" '$1 ~ f { print $2 }' "$work/figures") "; done
    echo "$row" >>"$work/results.$name"
    printf '%-22s %s\n' "$name" "$row"
}

node_with() {
    lab_config "$2" >"$work/lab.toml"
    start_node --config "$work/lab.toml"
    with_load "$1" "$rtmp" "$node"
    stop_node
}

nginx_rtmp() {
    start_peer "$peer" 4096
    local nginx=$last
    with_load nginx-rtmp "$peer" "$nginx"
    stop "$nginx"
}

node_media_server() {
    [[ -n ${NMS:-} ]] || return 0
    background nms taskset -c 0 node "$NMS" "$peer"
    local nms=$last
    sleep 2
    with_load node-media-server "$peer" "$nms"
    stop "$nms"
}

limit() {
    "$binary" bench limit --count "$viewers" --seconds "$seconds" --merge "$1" --json >"$work/figures"
    note "limit-$1" cpu_per_mbit_us
}

middle() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f", v[int((NR + 1) / 2)] }'; }
median() { awk '{ print $1 }' "$work/results.$1" | middle; }
median_ratio() { paste "$work/results.$1" "$work/results.$2" | awk -F'\t' '{ print $1 / $2 }' | middle; }

echo "name                   CPU us/Mbit, viewers at full rate, KiB per viewer"
for ((round = 0; round < rounds; round++)); do
    node_with frame '"frame"'
    limit frame
    node_with 100ms 100
    limit 100
    node_with off '"off"'
    limit off
    nginx_rtmp
    node_media_server
done
echo "== medians of $rounds, $viewers viewers, $seconds s"
ratio() { printf '%-34s %8s us/Mbit, %s x %s (%s)\n' "$1" "$(median "$2")" \
    "$(median_ratio "$2" "$3")" "$4" "$(median "$3")"; }
ratio 'node, merged per frame' frame limit-frame 'the bare loop'
ratio 'node, merged per frame' frame nginx-rtmp 'nginx-rtmp'
ratio 'node, merged per 100 ms' 100ms limit-100 'the bare loop'
ratio 'node, each message at once' off limit-off 'the bare loop'
if [[ -n ${NMS:-} ]]; then ratio 'node, merged per frame' frame node-media-server NMS; fi
