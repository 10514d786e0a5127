#!/usr/bin/env bash
# Whether B needs more than A: perf/compare.sh A B [ROW...]
#
# A and B are programs, or commits, which are built for it in target/compare. They are measured in
# turn (A B, B A, A B ...), because one after the other measures the neighbours of the machine. Prints
# for each figure the medians, the ratio with its confidence interval, and a verdict; ends with 1 if B
# needs more than A of anything. Then it draws a differential flame graph of each row, red where B is
# longer there, in ROW.svg of the results. Rows:
#
#   fanout   VIEWERS viewers of one published stream: CPU for each delivered Mbit, latency
#   seed     the reference configuration with one viewer: CPU for each encoded picture
#
# The settings:
#
#   ROUNDS   of each row: 10
#   SPAN     seconds of each measurement: 8
#   SETTLE   seconds before it, in which the node's logs fill: 12
#   VIEWERS  1000
#   LIMIT    part up to which a difference does not count: 0.03
#   KEEP     a name, such as that of a release: the stacks of B are kept as
#            perf/history/ROW-NAME.folded.gz, to be compared with by perf/diff.sh
#   RESULTS  folder for stacks and pictures: target/compare
#   HISTORY  file that the medians of B are appended to: perf/history/figures.ndjson; "" for none
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

rounds=${ROUNDS:-10}
span=${SPAN:-8}
settle=${SETTLE:-12}
viewers=${VIEWERS:-1000}
limit=${LIMIT:-0.03}
results=${RESULTS:-$root/target/compare}
(($# >= 2)) || die "usage: perf/compare.sh A B [ROW...], A and B a program or a commit"
ulimit -n "$(ulimit -H -n)"
mkdir -p "$results"

# program_of A: the program itself, or that of a commit, built in a work tree of its own.
program_of() {
    if [[ -x $1 && -f $1 ]]; then realpath "$1"; return; fi
    local commit tree
    commit=$(git -C "$root" rev-parse --verify --quiet "$1^{commit}") ||
        die "$1 is neither a program nor a commit"
    tree=$results/${commit:0:12}
    if [[ ! -x $tree/target/release/stream-manager ]]; then
        [[ -e $tree ]] || git -C "$root" worktree add --quiet --detach "$tree" "$commit" >&2
        (cd "$tree" && cargo build --release --bin stream-manager) >&2
    fi
    echo "$tree/target/release/stream-manager"
}

# put FIGURE VALUE: notes a figure of this subject in this round.
put() { echo "$round $subject $1 $2" | tee -a "$work/$row"; }

# profile: the stacks of the node while it is busy.
profile() {
    local answer=$work/profile
    get "/api/v1/profile?seconds=$span&hz=250" "Authorization: Bearer $(cat "$work/data/api-token")" |
        tr -d '\r' >"$answer"
    head -n 1 "$answer" | grep -q ' 200 ' || { cat "$answer"; die "the node gives no profile"; }
    awk 'body { print } /^$/ { body = 1 }' "$answer" >"$results/$row-$subject.folded"
}

run_of_fanout() {
    local publisher url=rtmp://127.0.0.1:$rtmp/live/load
    lab_config '"frame"' >"$work/lab.toml"
    start_node --config "$work/lab.toml"
    background publisher "$binary" load publish --url "$url" --seconds 3600 --cores 1
    publisher=$last
    sleep "$settle"
    if ((round == 0)); then
        "$binary" load play --url "$url" --count "$viewers" --seconds $((span + 2)) --cores 1 \
            >/dev/null &
        sleep 1
        profile
        wait $!
    else
        "$binary" load play --url "$url" --count "$viewers" --seconds "$span" --cores 1 \
            --pid "$node" --json >"$work/figures" || die "load play failed"
        put cpu_us_per_mbit "$(field "$work/figures" cpu_per_mbit_us)"
        put p50_us "$(field "$work/figures" p50)"
        put p99_us "$(field "$work/figures" p99)"
    fi
    stop "$publisher"
    stop_node
}

run_of_seed() {
    local viewer stream cpu frames
    # Its destination is not there: the retries cost nothing that counts.
    sed -E 's|^(url *= *)"rtmps?://.*|\1"rtmp://127.0.0.1:1/live/seed"|' \
        "$root/examples/seed.toml" >"$work/seed.toml"
    stream=$(sed -n 's/^stream *= *"\([^"]*\)".*/\1/p' "$work/seed.toml" | head -n 1)
    start_node --config "$work/seed.toml"
    background viewer "$binary" load play --url "rtmp://127.0.0.1:$rtmp/$stream" --count 1 \
        --seconds 3600
    viewer=$last
    sleep "$settle"
    if ((round == 0)); then
        profile
    else
        get /metrics >"$work/before"
        cpu=$(cpu_seconds "$node")
        sleep "$span"
        cpu=$(calc %.4f "$(cpu_seconds "$node") - $cpu")
        get /metrics >"$work/after"
        frames=$(calc %d "$(sum_of "$work/after" encoder_frames_total) \
            - $(sum_of "$work/before" encoder_frames_total)")
        ((frames > 0)) || die "nothing was encoded"
        put cpu_us_per_frame "$(calc %.1f "1e6 * $cpu / $frames")"
    fi
    stop "$viewer"
    stop_node
}

a=$(program_of "$1")
b=$(program_of "$2")
shift 2
rows=(fanout seed)
if (($# > 0)); then rows=("$@"); fi
for row in "${rows[@]}"; do
    declare -F "run_of_$row" >/dev/null || die "there is no row $row"
done

./env.sh
printf '%-14s %s\n' A "$a, $("$a" --version)" B "$b, $("$b" --version)"
worse=0
for row in "${rows[@]}"; do
    : >"$work/$row"
    # Round 0 takes the stacks.
    for ((round = 0; round <= rounds; round++)); do
        order=(a b)
        if ((round % 2)); then order=(b a); fi
        for subject in "${order[@]}"; do
            binary=$b
            if [[ $subject == a ]]; then binary=$a; fi
            "run_of_$row"
        done
    done
    echo "== $row, $rounds rounds of $span s"
    awk -v limit="$limit" -f compare.awk "$work/$row" || worse=1
    for figure in $(awk '{ print $3 }' "$work/$row" | sort -u); do
        awk -v f="$figure" '$2 == "b" && $3 == f { print $4 }' "$work/$row" |
            remember "$row $figure"
    done
    ./diff.sh "$results/$row-a.folded" "$results/$row-b.folded" "$results/$row.svg"
    if [[ -n ${KEEP:-} ]]; then
        gzip -9 --no-name --stdout "$results/$row-b.folded" >"history/$row-$KEEP.folded.gz"
        echo "kept perf/history/$row-$KEEP.folded.gz"
    fi
done
exit "$worse"
