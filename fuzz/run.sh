#!/bin/bash
# Runs every fuzz target for SECONDS (10 if not given), or only those named, as many at once as
# there are cores, and says how many inputs each has executed. Needs neither a nightly compiler nor
# cargo-fuzz:
#
#     fuzz/run.sh 60
#     fuzz/run.sh 3600 server_session client_session
#
# FEATURES is what cargo is told about the FFmpeg that is installed (`make` knows); nothing for
# FFmpeg 5. Ends with 1 if a target found something; the input lies in fuzz/artifacts then, and
# `fuzz/target/<host>/release/TARGET FILE` runs it again.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(handshake chunk_reader amf0 flv_tags server_session client_session proxy_header
        http_head http_port web_socket tls_link sequence_headers live_decoder)
fi
# The sources that are fuzzed call no encoder.
FEATURES=${FEATURES:-}
read -ra features <<<"${FEATURES//,nvenc,vaapi,x264/}"

# A target for cargo to build for, although it is this machine: only then do the flags spare build
# scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
cargo build --quiet --release --locked --target "$host" "${features[@]}" \
    $(printf -- '--bin %s ' "${targets[@]}")

# Runs one target; ends with 1 if it found something.
fuzz() {
    local target=$1 log=artifacts/$1.log verdict=0
    # 10 s for an input is a hang; 64 MiB at once, or 512 MiB in all, is an exhaustion.
    local limits=(-timeout=10 -malloc_limit_mb=64 -rss_limit_mb=512)
    # A decoder keeps up to 17 pictures of the largest size, 14 MiB each and up to four times that
    # in the richest formats, and takes a tenth of a second for one that it has to make up.
    [ "$target" = live_decoder ] && limits=(-timeout=20 -malloc_limit_mb=256 -rss_limit_mb=2048)
    mkdir -p "corpus/$target" "artifacts/$target"
    "target/$host/release/$target" "corpus/$target" "seeds/$target" "${limits[@]}" \
        -max_total_time="$seconds" -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" >"$log" 2>&1 || verdict=1
    if [ "$verdict" = 1 ] && stood_still "$target" "$log"; then
        echo "$target: the machine stood still"
        verdict=0
    fi
    if [ "$verdict" = 1 ]; then
        echo "$target: FOUND SOMETHING"
        tail -n 40 "$log"
    fi
    echo "$target: $(count "$target") executions in $seconds s, $(coverage "$log")"
    return "$verdict"
}

# Whether what was found took long by the clock alone, and not of the processor, when others had it.
stood_still() {
    local input
    input=$(sed -n 's/.*Test unit written to \(.*timeout-.*\)/\1/p' "$2")
    [ -n "$input" ] && (ulimit -t 10 && "target/$host/release/$1" "$input") >>"$2" 2>&1 &&
        rm "$input"
}

count() {
    sed -n 's/^stat::number_of_executed_units: //p' "artifacts/$1.log" | grep . || echo 0
}

coverage() {
    grep -o 'cov: [0-9]*' "$1" | tail -n 1 | grep . || echo 'cov: 0'
}

failed=0
export -f fuzz stood_still count coverage
export host seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' || failed=1
total=0
for target in "${targets[@]}"; do
    total=$((total + $(count "$target")))
done
echo "all: $total executions"
exit "$failed"
