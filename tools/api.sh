#!/usr/bin/env bash
# What independent programs say about a running node's HTTP side: promtool about its metrics, and
# schemathesis, which makes requests of all kinds from the API's own description, about its answers.
#
#   tools/api.sh PROGRAM      the built stream-manager
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SCHEMATHESIS=4.32.5
readonly TOOLS=$PWD/target/api-tools
# Names that are fixed although they break promtool's conventions.
readonly FIXED='^(encoder_dropped_frames|rtmp_bandwidth_bytes) counter metrics should have "_total"'
readonly EXAMPLES=10

main() {
    local program=$1 http rtmp failed=0
    dir=$(mktemp -d)
    node=
    trap 'end' EXIT
    read -r http rtmp < <(free_ports)
    "$program" run --http-port "$http" --rtmp-port "$rtmp" --bind 127.0.0.1 \
        --data-dir "$dir/data" >"$dir/out" 2>"$dir/log" &
    node=$!
    wait_for "http://127.0.0.1:$http/readyz"
    metrics "http://127.0.0.1:$http/metrics" || failed=1
    requests "http://127.0.0.1:$http" || failed=1
    curl -sf "http://127.0.0.1:$http/healthz" >/dev/null || { say "the node is gone"; failed=1; }
    grep -q panicked "$dir/log" && { say "the node had a panic"; failed=1; }
    return "$failed"
}

metrics() {
    local complaints
    command -v promtool >/dev/null || { say "left out: there is no promtool"; return; }
    complaints=$(curl -sf "$1" | promtool check metrics 2>&1 | grep -vE "$FIXED" || true)
    [[ -z $complaints ]] || { say "$complaints"; return 1; }
    say "promtool has nothing to say about the metrics"
}

requests() {
    schemathesis_is_there || { say "left out: schemathesis cannot be installed"; return; }
    # It leaves a folder where it runs. A profile takes as long as it is asked to.
    (cd "$dir" && "$TOOLS/bin/schemathesis" run "$1/api/v1/openapi.json" --checks not_a_server_error \
        --header "Authorization: Bearer $(<"$dir/data/api-token")" --max-examples "$EXAMPLES" \
        --exclude-path /api/v1/profile --phases coverage,fuzzing --suppress-health-check all \
        --seed 1 --rate-limit 45/s \
        >"$dir/requests" 2>&1) || { cat "$dir/requests"; return 1; }
    grep -E 'generated, .* passed' "$dir/requests" >&2
}

schemathesis_is_there() {
    "$TOOLS/bin/schemathesis" --version 2>/dev/null | grep -qF "$SCHEMATHESIS" && return
    python3 -m venv "$TOOLS" && "$TOOLS/bin/pip" install --quiet "schemathesis==$SCHEMATHESIS"
}

free_ports() {
    python3 - <<'PY'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))
PY
}

wait_for() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        curl -sf "$1" >/dev/null && return
        kill -0 "$node" 2>/dev/null || break
        sleep 0.1
    done
    cat "$dir/log" >&2
    say "the node does not answer"
    exit 1
}

end() {
    [[ -z $node ]] || { kill "$node" 2>/dev/null && wait "$node" || true; }
    rm -rf "$dir"
}

say() { printf '%s\n' "$*" >&2; }

main "$@"
