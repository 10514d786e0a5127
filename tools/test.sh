#!/usr/bin/env bash
# Everything that must pass, with a summary. What mistakes are cheapest to find in comes first; what
# waits more than it computes runs beside the rest, and what measures runs alone.
# Called by `make test`, which sets FEATURES.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# A program that embeds the library has none of these, so it has to be built without them.
unset "${!FFMPEG_@}"
read -ra features <<<"${FEATURES:-}"
readonly LOGS=target/test-logs PROGRAM=target/release/stream-manager
# The program as its users have it, but for link-time optimisation, which takes minutes for each of
# the programs that are linked here. Lints and documentation are made with the same profile, so that
# what all of them need is built once.
readonly WHOLE=(--release --config profile.release.lto=false "${features[@]}")
# Parts are asked for what they do, and not for how fast: a build of our own code without
# optimisation, and with its assertions, takes a quarter of the time. Only libraries, since the
# program must stay the one above.
readonly OURS=profile.release.package.stream-manager
readonly UNITS=("${WHOLE[@]}" --config $OURS.opt-level=0 --config $OURS.debug-assertions=true
    --config $OURS.overflow-checks=true --workspace --lib)
# Time for each fuzz target; an hour before a release.
FUZZ_SECONDS=${FUZZ_SECONDS:-10}
# Scenarios at once: most wait for programs to start and for pictures to come.
SCENARIOS=$((4 * $(nproc)))
# Scenarios of scenes, encoders, keys, files and the command line, in which a driver only carries
# what they look at: one of the two is enough.
readonly ANY_DRIVER=(assets:: bad_input:: comparing:: composition:: config:: frames:: gpu:: hooks::
    key_command:: keyring:: live_input:: mistakes:: network_input:: obs_websocket:: overlays::
    picture:: playlists:: preview:: profiling:: redis:: render:: renditions:: scaling:: schedule::
    show:: transactions:: transitions:: uploading:: vaapi:: video_files::)
rows=()
failures=0
declare -A beside=()
# Steps of the simulation of shards (src/shard/simulation): about a minute. 100 million before a
# release, each time with another seed.
export SIM_STEPS=${SIM_STEPS:-4000000}

main() {
    mkdir -p "$LOGS"
    trap 'kill -- "${beside[@]/#/-}" 2>/dev/null; exit 130' INT TERM
    stage format cargo fmt --all --check
    stage tidy tidy
    begin dashboard tools/web.sh check
    begin peers install_peers
    stage lints cargo clippy --quiet --workspace --all-targets "${WHOLE[@]}" -- -D warnings
    stage documentation env RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
        cargo doc --quiet --no-deps --document-private-items "${WHOLE[@]}"
    stage build build
    finish dashboard
    finish peers
    begin fuzz nice -n 19 fuzz/run.sh "$FUZZ_SECONDS"
    begin browser nice tools/web.sh test
    begin loom check_orders
    begin api tools/api.sh "$PROGRAM"
    stage units cargo test --no-fail-fast "${UNITS[@]}"
    stage examples cargo test --no-fail-fast "${WHOLE[@]}" --doc
    stage allocations cargo test --no-fail-fast "${WHOLE[@]}" --test no_alloc
    stage instructions tools/instructions.sh target/release/examples/instructions
    # With the driver that a node takes by itself, which is glommio where there is io_uring.
    stage scenarios scenarios --test-threads "$SCENARIOS" --skip measured::
    TEST_DRIVER=epoll stage epoll scenarios --test-threads "$SCENARIOS" --skip measured:: \
        "${ANY_DRIVER[@]/#/--skip=}"
    stage lifecycle cargo test --no-fail-fast "${WHOLE[@]}" --test lifecycle
    finish fuzz
    finish loom
    finish browser
    finish api
    stage measured scenarios --test-threads 4 measured::
    summary
    exit $((failures > 0))
}

# Runs one stage and keeps a line about it. The later ones run all the same: one run shows all.
stage() {
    local name=$1 began=$SECONDS verdict=ok
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$LOGS/$name" || verdict=FAILED
    row "$name" "$verdict" $((SECONDS - began))
}

# Starts a stage beside those that follow, in a process group of its own.
begin() {
    local name=$1
    shift
    set -m
    (
        SECONDS=0
        verdict=ok
        "$@" >"$LOGS/$name" 2>&1 || verdict=FAILED
        printf '%s %d\n' "$verdict" "$SECONDS" >"$LOGS/$name.end"
    ) </dev/null &
    set +m
    beside[$name]=$!
}

# Waits for a stage that was begun, and shows what it said.
finish() {
    local name=$1 verdict seconds
    wait "${beside[$name]}"
    printf '\n== %s\n' "$name"
    cat "$LOGS/$name"
    read -r verdict seconds <"$LOGS/$name.end"
    row "$name" "$verdict" "$seconds"
}

row() {
    [[ $2 == ok ]] || ((failures += 1))
    rows+=("$(printf '%-14s %-7s %4d s' "$@")")
}

# What is asked of single parts runs as it is built quickest; what is asked of the program, how fast
# it is and what it allocates, of the program as its users have it.
build() {
    cargo test --quiet --no-run "${UNITS[@]}" &&
        cargo build --quiet "${WHOLE[@]}" --bin stream-manager --example instructions &&
        cargo test --quiet --no-run "${WHOLE[@]}" --test node --test lifecycle --test no_alloc
}

# A program of its own: rules about the sources wait for no build of them.
tidy() { rustc --edition 2024 --test tests/tidy.rs -o target/tidy && target/tidy; }

install_peers() { tools/modern_ffmpeg.sh && tools/node_media_server.sh; }

scenarios() { cargo test --no-fail-fast "${WHOLE[@]}" --test node -- "$@"; }

# Every order of steps of what threads share, on the types that the program runs.
check_orders() {
    RUSTFLAGS="--cfg loom" nice cargo test --lib -p stream-manager-sync --target-dir target/loom
}

# The words of what failed, and after them the table and the names: who reads the end alone, where
# an output was cut, reads what matters most.
summary() {
    local logs=("$LOGS"/{tidy,units,examples,allocations,scenarios,epoll,lifecycle,measured})
    printf '\n== summary\n'
    awk -v most=40 'FNR == 1 || /^failures:$/ { shown = 0 }
         /^---- .* stdout ----$/ { shown = 1; lines = 0; print "" }
         shown && ++lines <= most' "${logs[@]}"
    printf '\n'
    printf '%s\n' "${rows[@]}"
    awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
         END { printf "%d tests passed, %d failed, %d ignored\n", passed, failed, ignored }' \
        "${logs[@]}"
    # With the first line of the reason, as far as a line of a terminal goes.
    awk '/^test .* \.\.\. FAILED$/ {
             stage = FILENAME; sub(".*/", "", stage); printf "  failed: %s (%s)\n", $2, stage
         }
         /panicked at/ { getline reason; printf "      %s: %s\n", $2, substr(reason, 1, 160) }' \
        "${logs[@]}"
    printf 'in all %d s\n' "$SECONDS"
    if ((failures == 0)); then echo 'all good'; else echo "$failures of the above failed"; fi
}

main
