#!/usr/bin/env bash
# Stream keys: perf/keys.sh [KEYS] [PUBLISHERS]
#
# How fast both stores make, find and list that many keys, and how long a node on Redis takes to
# accept a publisher: from `publish` on the wire to NetStream.Publish.Start, with keys it has not
# seen yet (each a question to Redis) and with keys its shard remembers. The node on core 0, Redis
# and the load on core 1. DATA names another place than the temporary one for the embedded store,
# whose disk is what counts: each key it makes is on the disk before it is told.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh
# shellcheck source=perf/redis.sh
. ./redis.sh

keys=${1:-10000}
publishers=${2:-500}
disk=${DATA:-$work}

start_redis
echo "== embedded store, $keys keys, on $(stat -f -c %T "$disk")"
"$binary" bench keys --store "$(mktemp -d -p "$disk" keys.XXXXXX)" --count "$keys"
echo "== Redis, $keys keys"
"$binary" bench keys --redis "$redis_url" --count "$keys"

echo "== from publish to NetStream.Publish.Start, $publishers keys in Redis, one after the other"
for ((n = 1; n <= publishers; n++)); do
    new_key "live/admit-$n" >>"$work/keys"
done
redis_node 0 "$rtmp" "$http"
"$binary" load admit --url "rtmp://127.0.0.1:$rtmp/live" --keys "$work/keys" --cores 1 \
    --pid "$node"
stop_node
