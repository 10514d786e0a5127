#!/usr/bin/env bash
# Draws a flame graph of a running node: perf/flame.sh PID [SECONDS] [FILE.svg]
#
# With inferno (`cargo install inferno`) it draws the picture; without, it leaves the folded stacks,
# which speedscope and other viewers read.
set -euo pipefail
cd "$(dirname "$0")"

pid=${1:?usage: perf/flame.sh PID [SECONDS] [FILE.svg]}
seconds=${2:-20}
picture=${3:-flame.svg}
data=$(mktemp)
trap 'rm -f "$data"' EXIT

./record.sh "$pid" "$seconds" "$data"
folded=${picture%.svg}.folded
perf script --input "$data" --fields comm,ip,sym 2>/dev/null | awk '
    /^[^ \t]/ { name = $1; for (i = 2; i <= NF; i++) name = name "_" $i; next }
    NF == 0 { if (stack != "") count[name stack]++; stack = ""; next }
    { $1 = ""; sub(/^ /, ""); sub(/\+0x[0-9a-f]+$/, ""); gsub(/;/, ":"); stack = ";" $0 stack }
    END { if (stack != "") count[name stack]++; for (s in count) print s, count[s] }' |
    sort >"$folded"
if command -v inferno-flamegraph >/dev/null; then
    inferno-flamegraph --title "stream-manager" <"$folded" >"$picture"
    rm "$folded"
    echo "wrote $picture"
else
    echo "wrote $folded (cargo install inferno draws it: inferno-flamegraph <$folded >$picture)"
fi
