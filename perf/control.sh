#!/usr/bin/env bash
# What watching a node costs its viewers: perf/control.sh [VIEWERS] [SECONDS] [ROUNDS] [FOLLOWERS]
#
# CPU time per delivered Mbit of the node on core 0, its control plane included, without anybody
# who looks, and with a scrape of /metrics each second, FOLLOWERS WebSockets on /ws and the journal
# on. Both in turn in each round, the load on core 1. Shows the medians and their ratio; limit 1.02.
# Beside it the CPU time that the control plane's threads took a second meanwhile: on a machine with
# noise that difference is steadier than the ratio.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

viewers=${1:-1000}
seconds=${2:-20}
rounds=${3:-5}
followers=${4:-100}
limit=1.02
ulimit -n "$(ulimit -H -n)"

lab_config '"frame"' >"$work/without.toml"
{
    lab_config '"frame"'
    printf '[journal]\npath = "%s"\n' "$work/journal"
} >"$work/with.toml"

# scrape FILE: reads /metrics each second and counts that, until it is ended.
scrape() {
    taskset -pc 1 "$BASHPID" >/dev/null
    while sleep 1; do
        if get /metrics | grep -q '^rtmp_connections_total'; then echo >>"$1"; fi
    done
}

# control_ms: CPU time of all threads of the node that are not shards.
control_ms() {
    local task
    for task in "/proc/$node/task/"*; do
        [[ $(<"$task/comm") == shard-* ]] || cat "$task/schedstat"
    done | awk '{ ns += $1 } END { printf "%.3f", ns / 1e6 }'
}

# sample FILE: notes the time and control_ms each second, until it is ended.
sample() {
    taskset -pc 1 "$BASHPID" >/dev/null
    while sleep 1; do echo "${EPOCHREALTIME/,/.} $(control_ms)" >>"$1"; done
}

# round NAME: starts the node of this name, publishes, lets all look that belong to it, and measures.
round() {
    local name=$1 url=rtmp://127.0.0.1:$rtmp/live/load lookers=() pid
    start_node --config "$work/$name.toml"
    background publisher "$binary" load publish --url "$url" --seconds $((seconds + 120)) --cores 1
    lookers+=("$last")
    if [[ $name == with ]]; then
        rm -f "$work/scrapes"
        background scrapes scrape "$work/scrapes"
        lookers+=("$last")
        background followers "$binary" load watch --url "ws://127.0.0.1:$http/ws" \
            --token-file "$work/data/api-token" --count "$followers" \
            --seconds $((seconds + 120)) --cores 1
        lookers+=("$last")
    fi
    sleep 1
    rm -f "$work/samples"
    background samples sample "$work/samples"
    lookers+=("$last")
    "$binary" load play --url "$url" --count "$viewers" --seconds "$seconds" --cores 1 \
        --pid "$node" --json >"$work/figures" || die "the viewers failed"
    # The last seconds are those that were measured: nobody joins then.
    tail -n "$((seconds - 1))" "$work/samples" |
        awk 'NR == 1 { at = $1; ms = $2 } END { printf "%.3f\n", ($2 - ms) / ($1 - at) }' \
            >>"$work/results.$name-control"
    for pid in "${lookers[@]}"; do
        kill "$pid" 2>/dev/null || { cat "$work"/{publisher,followers}.log; die "a load ended"; }
        wait "$pid" 2>/dev/null || true
    done
    stop_node
    if [[ $name == with ]]; then
        [[ $(wc -l <"$work/scrapes") -ge $seconds ]] || die "/metrics was not read each second"
        [[ $(wc -l <"$work/journal") -ge $viewers ]] || die "the journal is not complete"
        rm "$work/journal"
    fi
    figure cpu_per_mbit_us >>"$work/results.$name"
    printf '%-8s %8.1f us/Mbit, %s at full rate, control %s ms/s\n' "$name" \
        "$(figure cpu_per_mbit_us)" "$(figure at_full_rate)" \
        "$(tail -n 1 "$work/results.$name-control")"
}

figure() { awk -F'[:,]' -v f="\"$1\"" '$1 ~ f { print $2 }' "$work/figures"; }

median() { sort -n "$work/results.$1" | awk '{ v[NR] = $1 } END { printf "%.2f", v[int((NR + 1) / 2)] }'; }

need taskset
for ((number = 0; number < rounds; number++)); do
    # Each begins as often as the other.
    if ((number % 2)); then order="with without"; else order="without with"; fi
    for name in $order; do round "$name"; done
done
ratio=$(calc %.4f "$(median with) / $(median without)")
echo "== medians of $rounds, $viewers viewers, $followers followers, $seconds s"
printf 'without %s, with %s us/Mbit: ratio %s, limit %s: %s\n' "$(median without)" \
    "$(median with)" "$ratio" "$limit" \
    "$(awk "BEGIN { print ($ratio <= $limit) ? \"met\" : \"missed\" }")"
printf 'control threads: without %s, with %s ms of CPU a second\n' "$(median without-control)" \
    "$(median with-control)"
