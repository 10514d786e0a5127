#!/usr/bin/env bash
# Draws the history of figures: perf/chart.sh [HISTORY.ndjson [FILE.svg]]
#
# A panel for each figure and machine, in the order of what was measured: the median as a line, from
# the least to the largest round as a band. Less is better in all of them.
set -euo pipefail
cd "$(dirname "$0")"

history=${1:-history/figures.ndjson}
picture=${2:-../docs/figures.svg}
[[ -s $history ]] || { echo "$history: nothing was measured yet" >&2; exit 1; }
awk -f chart.awk "$history" >"$picture"
echo "wrote $picture"
