#!/usr/bin/env bash
# Records where a running node spends its time: perf/record.sh PID [SECONDS] [FILE]
#
# The program keeps its frame pointers, so stacks are cheap and whole; build it with
# `cargo build --profile profiling` to have names and lines. Machines without performance counters
# (most virtual ones) are sampled by the clock instead of by cycles.
set -euo pipefail

pid=${1:?usage: perf/record.sh PID [SECONDS] [FILE]}
seconds=${2:-20}
file=${3:-perf.data}
command -v perf >/dev/null || { echo "perf is missing: apt-get install linux-perf" >&2; exit 1; }

event=cycles
counted=$(perf stat -x, -e cycles -- true 2>&1 >/dev/null || true)
if [[ $counted != [0-9]* ]]; then
    event=cpu-clock
    echo "No cycle counter here: sampling by $event, which cannot see inside the kernel's" \
        "uninterruptible parts." >&2
fi
perf record --event "$event" --freq 499 --call-graph fp --pid "$pid" --output "$file" \
    -- sleep "$seconds" >&2
echo "by thread:"
perf report --input "$file" --no-children --sort comm --stdio --percent-limit 1 -g none 2>/dev/null |
    grep -v '^#' | grep -v '^$'
echo "by function:"
perf report --input "$file" --no-children --sort comm,symbol --stdio --percent-limit 1 -g none \
    2>/dev/null | grep -v '^#' | grep -v '^$' | head -n 40
