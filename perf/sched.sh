#!/usr/bin/env bash
# How long each thread of a running node ran, and how long it waited for a CPU, without BPF:
# perf/sched.sh [PID] [SECONDS]
#
# What is normal stands in perf/bpftrace/run_queue.bt. `perf sched` records every switch of the whole
# machine, 100 bytes each: a busy one makes tens of MB in ten seconds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=perf/kernel.sh
. "$here/kernel.sh"

need_root
need_tool perf linux-perf
need_tracefs "$@"
find_node "${1:-}"
need_event sched/sched_switch "a kernel with CONFIG_FTRACE=y"
seconds=${2:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

perf sched record --output "$work/data" -- sleep "$seconds" >"$work/wrong" 2>&1 ||
    missing "what perf asks of this kernel: $(tail -n 1 "$work/wrong")" "tracepoints of sched"
# By their names, which is all that it shows of threads.
cat "/proc/$pid/task"/*/comm | sort -u >"$work/names"
perf sched --input "$work/data" latency --sort max 2>/dev/null | awk '
    FILENAME == ARGV[1] { ours[$0] = 1; next }
    /Task  / { print; next }
    { name = $0; sub(/^ +/, "", name); sub(/:\(?[0-9]+\)? .*$/, "", name) }
    name in ours { print }' "$work/names" -
