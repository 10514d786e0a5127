#!/bin/bash
# Runs every fuzz target for SECONDS (10 if not given), or only those named, and says how many
# inputs each has executed. Needs neither a nightly compiler nor cargo-fuzz:
#
#     fuzz/run.sh 60
#     fuzz/run.sh 3600 server_session client_session
#
# Ends with 1 if a target found something; the input lies in fuzz/artifacts then, and
# `fuzz/target/<host>/release/TARGET FILE` runs it again.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(handshake chunk_reader amf0 flv_tags server_session client_session)
fi

# A target for cargo to build for, although it is this machine: only then do the flags spare build
# scripts and procedural macros.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
cargo build --quiet --release --locked --target "$host" $(printf -- '--bin %s ' "${targets[@]}")

failed=0
total=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log=artifacts/$target.log
    # 1 s for an input is a hang; 64 MiB at once, or 512 MiB in all, is an exhaustion.
    if ! "target/$host/release/$target" "corpus/$target" "seeds/$target" \
        -max_total_time="$seconds" -max_len=16384 -timeout=1 -malloc_limit_mb=64 \
        -rss_limit_mb=512 -print_final_stats=1 -artifact_prefix="artifacts/$target/" \
        >"$log" 2>&1; then
        failed=1
        echo "$target: FOUND SOMETHING"
        tail -n 40 "$log"
    fi
    count=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
    total=$((total + ${count:-0}))
    echo "$target: ${count:-0} executions in $seconds s, ${coverage:-cov: 0}"
done
echo "all: $total executions"
exit "$failed"
