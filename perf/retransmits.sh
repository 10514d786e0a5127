#!/usr/bin/env bash
# TCP segments that were sent to each viewer again, as a share, from the kernel's counters of each socket:
# perf/retransmits.sh [PORT] [SECONDS]
#
# PORT is the one of RTMP (1935), or another at which viewers are served. Normal: 0 % on a LAN or loopback,
# below 0.5 % over the internet; beyond 2 % a viewer of high bitrate cannot keep up. It needs `ss` and no
# rights.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=perf/kernel.sh
. "$here/kernel.sh"

need_tool ss iproute2
port=${1:-1935} seconds=${2:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line each: peer, segments out, segments sent again, round trip in ms, bytes that wait.
look() {
    ss -HOtin state established "( sport = :$port )" | awk '{
        segments = again = rtt = 0
        for (n = 5; n <= NF; n++) {
            if ($n ~ /^segs_out:/) segments = substr($n, 10)
            if ($n ~ /^retrans:/) { split($n, part, "/"); again = part[2] }
            if ($n ~ /^rtt:/) { rtt = substr($n, 5); sub(/\/.*/, "", rtt) }
        }
        print $4, segments, again, rtt, $2
    }'
}

look >"$work/before"
sleep "$seconds"
look >"$work/after"
awk -v port="$port" -v seconds="$seconds" '
    FILENAME == ARGV[1] { segments[$1] = $2; again[$1] = $3; next }
    {
        out = $2 - segments[$1]; more = $3 - again[$1]; all += out; all_again += more; viewers++
        printf "%6.2f %% %6d of %7d segments, round trip %8.2f ms, %8d bytes wait  %s\n",
            out ? 100 * more / out : 0, more, out, $4, $5, $1 | "sort -rn | head -n 40"
    }
    END {
        close("sort -rn | head -n 40")
        printf "%d connections at port %d; %d of %d segments were sent again in %d s\n",
            viewers, port, all_again, all, seconds
    }' "$work/before" "$work/after"
