#!/usr/bin/env bash
# What the node adds to encoding: CPU per frame of the whole node with the reference configuration
# (one viewer, one push), next to the same pictures fed straight to libx264 with the same settings and
# threads. In turn, so that both see the same machine: perf/ratio.sh [ROUNDS] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"

rounds=${1:-3}
seconds=${2:-20}
straight=${STRAIGHT:-../target/release/examples/encode_straight}
[[ -x $straight ]] || { echo "cargo build --release --examples first" >&2; exit 1; }
for ((round = 1; round <= rounds; round++)); do
    alone=$("$straight" "$seconds" "$(nproc)" | sed -n 's/^encoding *\([0-9.]*\) ms.*/\1/p')
    node=$(./seed.sh "$seconds" | sed -n 's/^CPU per frame *\([0-9.]*\) ms.*/\1/p')
    awk -v n="$node" -v a="$alone" -v r="$round" 'BEGIN {
        printf "round %d: node %.3f ms, libx264 alone %.3f ms per frame, ratio %.3f\n", r, n, a, n / a }'
done
