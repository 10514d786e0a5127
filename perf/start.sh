#!/usr/bin/env bash
# From the start of the program to the first picture that plays, idle memory, size of the program.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

need ffmpeg
row() { printf '%-26s %s\n' "$1" "$2"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
memory() { awk '/VmRSS/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$node/status"; }

row 'program' "$(stat -c %s "$binary" | awk '{ printf "%.1f MiB", $1 / 1048576 }')"

began=$(now_ms)
launch_node
until (exec 8<>"/dev/tcp/127.0.0.1/$rtmp") 2>/dev/null; do sleep 0.005; done
row 'start to listening' "$(($(now_ms) - began)) ms"
# The player's own start counts, as it does for whoever waits for a picture.
ffmpeg -v error -y -analyzeduration 0 -i "rtmp://127.0.0.1:$rtmp/live/demo" -map 0:v -frames:v 1 \
    -f null -
row 'start to first picture' "$(($(now_ms) - began)) ms, ffmpeg's own start included"
sleep 10
row 'memory with the demo' "$(memory)"
stop_node

printf '[node]\nname = "idle"\n' >"$work/idle.toml"
start_node --config "$work/idle.toml"
sleep 5
row 'memory without a channel' "$(memory)"
cpu=$(cpu_seconds "$node")
sleep 10
row 'CPU without a channel' "$(calc '%.2f %%' "10 * ($(cpu_seconds "$node") - $cpu)") of a core"
