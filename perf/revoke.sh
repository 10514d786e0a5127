#!/usr/bin/env bash
# From revoking a stream key to the end of its publisher, across nodes: perf/revoke.sh [ROUNDS]
#
# Two nodes share one Redis. A publisher is on the first, its key is revoked over the API of the
# second; the time ends when the publisher sees its connection closed. Limit: 1 s.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh
# shellcheck source=perf/redis.sh
. ./redis.sh

rounds=${1:-20}
limit_ms=1000
other_rtmp=$((rtmp + 5)) other_http=$((http + 5))

# revoke ID: over the second node's API; says when it began, microseconds, and waits for the answer.
revoke() {
    local token began answer
    token=$(<"$work/data-$other_rtmp/api-token")
    exec 8<>"/dev/tcp/127.0.0.1/$other_http"
    began=${EPOCHREALTIME/[.,]/}
    printf 'POST /api/v1/keys/%s/revoke HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer %s\r\n%s' \
        "$1" "$token" $'Content-Length: 0\r\nConnection: close\r\n\r\n' >&8
    answer=$(head -n 1 <&8)
    exec 8>&-
    [[ $answer == *' 204 '* ]] || die "the key was not revoked: $answer"
    echo "$began"
}

start_redis
redis_node 0 "$rtmp" "$http"
redis_node 1 "$other_rtmp" "$other_http"
for ((round = 1; round <= rounds; round++)); do
    "$binary" keys create --redis "$redis_url" --stream "live/revoke-$round" --json >"$work/made"
    json_text secret <"$work/made" >"$work/key"
    mkfifo "$work/said"
    "$binary" load admit --url "rtmp://127.0.0.1:$rtmp/live" --keys "$work/key" --rounds 1 \
        --hold >"$work/said" &
    publisher=$!
    exec 7<"$work/said"
    read -r word _ <&7 || true
    [[ $word == in ]] || die "the publisher was not let in"
    began=$(revoke "$(json_text id <"$work/made")")
    ended=$(awk '$1 == "ended" { print $2 }' <&7)
    exec 7>&-
    wait "$publisher"
    rm "$work/said"
    [[ -n $ended ]] || die "the publisher was not ended"
    calc '%.1f\n' "($ended - $began) / 1000" | tee -a "$work/times"
done
echo "== $rounds rounds, ms from the request to the closed connection"
sort -n "$work/times" | awk -v limit="$limit_ms" '{ v[NR] = $1 }
    END { printf "p50 %.1f, max %.1f, limit %d: %s\n", v[int((NR + 1) / 2)], v[NR], limit,
          v[NR] <= limit ? "met" : "missed" }'
