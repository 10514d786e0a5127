#!/usr/bin/env bash
# Runs one of perf/bpftrace/*.bt on a running node: perf/bpf.sh RECIPE [PID] [SECONDS] [PORT]
#
# Without PID it takes the only node of this machine; PORT is the one of RTMP. Each recipe says at its top
# what it answers and what is normal. It needs root, bpftrace and a kernel with BPF; nothing changes on
# the machine, and a probe costs the node about a microsecond each time while it is attached. What is
# missing is said, and the exit status is 3 then.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=perf/kernel.sh
. "$here/kernel.sh"

recipe=${1:-}
if [[ ! -r $here/bpftrace/$recipe.bt ]]; then
    echo "usage: perf/bpf.sh RECIPE [PID] [SECONDS] [PORT]; recipes:" >&2
    for file in "$here"/bpftrace/*.bt; do
        printf '  %-16s %s\n' "$(basename "$file" .bt)" "$(sed -n '1s,^// ,,p' "$file")" >&2
    done
    exit 2
fi
need_root
need_tool bpftrace bpftrace
need_tracefs "$@"
find_node "${2:-}"
seconds=${3:-10} port=${4:-1935}
! grep -q '^usdt:' "$here/bpftrace/$recipe.bt" || need_probes
while read -r event; do
    need_event "${event/://}" "a kernel that has it (CONFIG_FTRACE_SYSCALLS for raw_syscalls)"
done < <(grep -o '^tracepoint:[a-z_]*:[a-z_]*' "$here/bpftrace/$recipe.bt" | cut -d: -f2-)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s,PROGRAM,$program," "$here/bpftrace/$recipe.bt" >"$work/$recipe.bt"
# Without it the program's symbols are read anew for each function of each stack: minutes.
export BPFTRACE_CACHE_USER_SYMBOLS=1
# It locks memory for its maps where the kernel still counts that.
ulimit -l unlimited 2>/dev/null || true
if ! bpftrace -p "$pid" "$work/$recipe.bt" "$pid" "$seconds" "$port" 2>"$work/wrong"; then
    grep -v RLIMIT_MEMLOCK "$work/wrong" >&2 || true
    missing "what bpftrace asks of this kernel: $(grep -v RLIMIT_MEMLOCK "$work/wrong" | head -n 1)" \
        "CONFIG_BPF_SYSCALL, CONFIG_UPROBE_EVENTS, CONFIG_DEBUG_INFO_BTF; no lockdown, no container"
fi
grep -v RLIMIT_MEMLOCK "$work/wrong" >&2 || true
