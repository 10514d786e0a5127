#!/usr/bin/env bash
# Viewers by TLS next to plain ones, of one node, in turn: perf/tls.sh [VIEWERS] [SECONDS] [ROUNDS]
#
# CPU time per delivered Mbit with pictures of 12.5 KB (and keyframes of 75), of the node and of the
# load itself, which must not be the limit: the node on core 0, the load on core 1. MERGE is the
# node's `merge` ("frame" if not given). Limit of RTMPS next to RTMP: 1.6.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

viewers=${1:-500}
seconds=${2:-10}
rounds=${3:-5}
limit=1.6
secure=${RTMPS:-21943}
ulimit -n "$(ulimit -H -n)"

# watch NAME URL: plays, and notes the figures under the name.
watch() {
    "$binary" load play --url "$2" --insecure --count "$viewers" --seconds "$seconds" --cores 1 \
        --pid "$node" --json >"$work/figures" || die "$1 failed"
    local name row=
    for name in cpu_per_mbit_us at_full_rate load_cpu_per_mbit_us load_cpu_percent p50 p99; do
        row+="$(field "$work/figures" "$name") "
    done
    echo "$row" >>"$work/results.$1"
    printf '%-8s %s\n' "$1" "$row"
}

middle() { sort -n | awk '{ v[NR] = $1 } END { printf "%.3f", v[int((NR + 1) / 2)] }'; }
median() { awk '{ print $1 }' "$work/results.$1" | middle; }
ratios() { paste "$work/results.$1" "$work/results.$2" | awk -F'\t' '{ printf "%.3f\n", $1 / $2 }'; }

{
    lab_config "${MERGE:-\"frame\"}"
    tls_config "$secure"
} >"$work/lab.toml"
start_node --config "$work/lab.toml"
background publisher "$binary" load publish --url "rtmp://127.0.0.1:$rtmp/live/load" \
    --bitrate 3250000 --seconds 86400 --cores 1
sleep 3
echo "name     CPU us/Mbit, viewers at full rate, load's own us/Mbit and % of its core, latency us p50, p99"
for ((round = 0; round < rounds; round++)); do
    watch rtmp "rtmp://127.0.0.1:$rtmp/live/load"
    watch rtmps "rtmps://127.0.0.1:$secure/live/load"
    watch http "http://127.0.0.1:$rtmp/live/load.flv"
    watch https "https://127.0.0.1:$secure/live/load.flv"
done
echo "== medians of $rounds, $viewers viewers, $seconds s"
for pair in 'rtmps rtmp' 'https http' 'http rtmp'; do
    read -r one other <<<"$pair"
    all=$(ratios "$one" "$other")
    ratio=$(middle <<<"$all")
    printf '%-6s %8s us/Mbit, %s x %s (%s); each round %s\n' "$one" "$(median "$one")" "$ratio" \
        "$other" "$(median "$other")" "$(paste -sd' ' <<<"$all")"
    if [[ $one == rtmps ]]; then
        calc "RTMPS next to RTMP: limit $limit, %s\\n" "($ratio <= $limit) ? \"met\" : \"missed\""
    fi
done
