#!/usr/bin/env bash
# Many viewers of the demo programme: perf/fanout.sh [VIEWERS] [SECONDS]
#
# The CPU that the node spends with one viewer is taken off what it spends with all of them: the
# rest is delivery. The same messages, replayed to as many sockets by a bare loop of sendmsg, are
# what delivery costs at the least.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

viewers=${1:-200}
seconds=${2:-20}
[[ -x $load ]] || die "$load is not there: cargo build --release --example load"
ulimit -n "$(ulimit -H -n)"

start_node

play() { "$load" play --viewers "$1" --seconds "$seconds" --pid "$node" "${@:2}" \
    "127.0.0.1:$rtmp" live/demo; }
cpu_of() { sed -n 's/^server CPU *\([0-9.]*\) s.*/\1/p' "$1"; }
mbit_of() { sed -n 's/^delivered *\([0-9.]*\) Mbit.*/\1/p' "$1"; }

echo "== one viewer"
play 1 | tee "$work/one"
echo "== $viewers viewers"
play "$viewers" --sizes "$work/sizes" | tee "$work/many"
echo "== what delivery costs"
delivery="($(cpu_of "$work/many") - $(cpu_of "$work/one"))"
mbits="($(mbit_of "$work/many") - $(mbit_of "$work/one"))"
printf 'delivery alone     %s\n' "$(calc '%.1f us per Mbit' "1e6 * $delivery / $mbits")"
printf 'sends              %s\n' "$(get /metrics | grep -E '^rtmp_sends(_blocked)?_total ' | tr '\n' ' ')"
stop_node
echo "== a bare loop of sendmsg"
"$load" send --viewers "$viewers" "$work/sizes"
