#!/usr/bin/env bash
# Cache lines for which cores contend in a running node: perf/c2c.sh [PID] [SECONDS]
#
# Normal: the lines that lead are the indices of rings (`crossbeam`, `rtrb` and `ring` in the column of
# functions), each written by one core and read by another, and the doorbells; below 1 % of all loads hit a
# line that another core has changed ("HITM"). A line with two writers, or with figures of two threads in
# it, is false sharing: pad it. `perf c2c` samples memory accesses with the processor's own unit: Intel since
# Nehalem, AMD since Zen (IBS), Arm with SPE; virtual machines mostly have none, and then this says so.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=perf/kernel.sh
. "$here/kernel.sh"

need_root
need_tool perf linux-perf
find_node "${1:-}"
seconds=${2:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! perf c2c record --output "$work/data" --pid "$pid" -- sleep "$seconds" >"$work/wrong" 2>&1; then
    missing "samples of memory accesses ($(grep -v '^ *$' "$work/wrong" | head -n 1))" \
        "a machine whose processor has them (mem-loads, IBS or SPE), and not a virtual one;" \
        "ls /sys/bus/event_source/devices shows cpu, ibs_op or arm_spe_0 where there are some"
fi
perf c2c report --input "$work/data" --stdio --call-graph none 2>/dev/null | head -n 120
