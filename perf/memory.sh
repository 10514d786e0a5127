#!/usr/bin/env bash
# Memory and allocations of a node that takes in many publishers: perf/memory.sh [SECONDS]
# [PUBLISHERS]. Each line is for ten seconds: the memory of the node, what its shards have allocated,
# what came in, and what the packet pool holds. The publishers leave before the last half minute.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

seconds=${1:-600}
publishers=${2:-200}
counting=${ALLOCATIONS:-$root/target/release/examples/allocations}
[[ -x $counting ]] || die "$counting is not there: cargo build --release --bins --examples"
ulimit -n "$(ulimit -H -n)"
lab_config '"frame"' >"$work/lab.toml"
cat >>"$work/lab.toml" <<TOML
[http]
enabled = false
TOML
sed -i "s/^publish = .*/&\nport = $rtmp/" "$work/lab.toml"
cd "$work"
"$counting" "$work/lab.toml" $((seconds + 40)) 10 &
started+=($!)
node=$!
sleep 2
background publishers "$binary" load publish --url "rtmp://127.0.0.1:$rtmp/live/in" \
    --count "$publishers" --seconds "$seconds" --cores 1
wait "$last"
cat "$work/publishers.log"
wait "$node"
