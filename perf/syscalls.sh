#!/usr/bin/env bash
# System calls of a running node, per frame: perf/syscalls.sh [PID] [SECONDS]
#
# What is normal stands in perf/bpftrace/syscalls.bt, which does the counting; needs as perf/bpf.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
seconds=${2:-10}
names=$(mktemp)
counted=$(mktemp)
trap 'rm -f "$names" "$counted"' EXIT

"$here/bpf.sh" syscalls "${1:-}" "$seconds" >"$counted" || { cat "$counted"; exit 3; }
# linux-libc-dev has the names; without it numbers have to do.
case $(uname -m) in
    x86_64) headers=(/usr/include/x86_64-linux-gnu/asm/unistd_64.h /usr/include/asm/unistd_64.h) ;;
    *) headers=(/usr/include/asm-generic/unistd.h) ;;
esac
sed -nE 's/^#define __NR[0-9]*_([a-z0-9_]+)[ \t]+([0-9]+)$/\2 \1/p' "${headers[@]}" \
    2>/dev/null >"$names" || true
awk -v seconds="$seconds" '
    FILENAME == ARGV[1] { name[$1] = $2; next }
    match($0, /^@calls\[[0-9]+\]: /) {
        number = substr($0, 8, RLENGTH - 10); calls[number] = $2; all += $2
    }
    /^@frames: / { frames = $2 }
    /^@viewers: / { viewers = $2 }
    /^@threads\[/ { line = $0; sub(/^@threads\[/, "", line); sub(/\]: /, "\t", line)
        threads[++count] = line }
    END {
        printf "%d frames and %d system calls in %d s, %.1f per frame (%d viewers)\n",
            frames, all, seconds, frames ? all / frames : 0, viewers
        print "by call: calls, a second, per frame"
        for (number in calls)
            printf "%10d %9.0f %8.2f  %s\n", calls[number], calls[number] / seconds,
                frames ? calls[number] / frames : 0,
                number in name ? name[number] : "call " number | "sort -rn"
        fflush()
        close("sort -rn")
        print "by thread:"
        for (n = count; n > 0; n--) { split(threads[n], part, "\t"); printf "%10d  %s\n", part[2], part[1] }
    }' "$names" "$counted"
