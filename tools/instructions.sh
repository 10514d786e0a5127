#!/usr/bin/env bash
# Instructions of the steps that are taken for every message, counted by callgrind: the same on a busy
# machine as on a quiet one. Fails if a step needs more than its ceiling, which leaves a fifth for
# other compilers. Raise one only with the reason in the commit.
#
#   tools/instructions.sh PROGRAM      the built examples/instructions
set -euo pipefail

readonly ROUNDS=1000
# What a step may take, in instructions: without optimisation across crates, as the tests build it.
readonly CEILINGS="
step_chunk_read 3460
step_chunk_write 545
step_amf0_decode 7200
step_cursor 860
step_hop 400
"

main() {
    local program=$1 step ceiling count per failed=0
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    while read -r step ceiling; do
        [[ -n $step ]] || continue
        valgrind --quiet --tool=callgrind --callgrind-out-file="$out/$step" \
            --toggle-collect="*instructions::$step*" "$program" >"$out/log" 2>&1 ||
            { cat "$out/log"; exit 1; }
        count=$(awk '/^summary:|^totals:/ { n = $2 } END { print n + 0 }' "$out/$step")
        per=$((count / ROUNDS))
        printf '%-20s %7d instructions, at most %d\n' "$step" "$per" "$ceiling"
        ((per > 0 && per <= ceiling)) || failed=1
    done <<<"$CEILINGS"
    ((failed == 0)) || { echo "a step needs more than its ceiling" >&2; exit 1; }
}

main "$@"
