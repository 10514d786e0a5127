#!/usr/bin/env bash
# Everything that must pass, in the order in which mistakes are cheapest to find, with a summary.
# Called by `make test`, which sets FEATURES and where FFmpeg is.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

read -ra features <<<"${FEATURES:-}"
log=target/test.log
rows=()
# Time for each fuzz target; an hour before a release.
FUZZ_SECONDS=${FUZZ_SECONDS:-10}
failures=0

main() {
    mkdir -p target
    stage format cargo fmt --check
    stage dashboard tools/web.sh check
    stage lints cargo clippy --quiet --all-targets "${features[@]}" -- -D warnings
    stage documentation env RUSTDOCFLAGS="-D warnings" \
        cargo doc --quiet --no-deps "${features[@]}"
    stage ffmpeg tools/modern_ffmpeg.sh
    stage peers tools/node_media_server.sh
    stage tests run_tests
    stage instructions count_instructions
    stage fuzz fuzz/run.sh "$FUZZ_SECONDS"
    stage api tools/api.sh target/debug/stream-manager
    stage browser tools/web.sh test
    summary
    exit $((failures > 0))
}

# Runs one stage and keeps a line about it. The later ones run all the same: one run shows all.
stage() {
    local name=$1 began=$SECONDS verdict=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" || { verdict=FAILED; ((failures += 1)); }
    rows+=("$(printf '%-14s %-7s %4d s' "$name" "$verdict" $((SECONDS - began)))")
}

count_instructions() {
    cargo build --quiet --example instructions "${features[@]}" &&
        tools/instructions.sh target/debug/examples/instructions
}

run_tests() {
    cargo test --no-fail-fast "${features[@]}" 2>&1 | tee "$log"
}

summary() {
    printf '\n== summary\n'
    printf '%s\n' "${rows[@]}"
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         END { printf "%d tests passed, %d failed, %d ignored\n", passed, failed, ignored }' "$log"
    sed -n 's/^test \(.*\) \.\.\. FAILED$/  failed: \1/p' "$log"
    if ((failures == 0)); then echo 'all good'; else echo "$failures of the above failed"; fi
}

main
