#!/usr/bin/env bash
# Instructions of the steps that are taken for every message or picture, counted by callgrind: the same
# on a busy machine as on a quiet one. Fails if a step needs more than its ceiling, which leaves a twentieth for
# other compilers. Raise one only with the reason in the commit.
#
#   tools/instructions.sh PROGRAM      the built examples/instructions, in the release profile, without
#                                      link-time optimisation, as tools/test.sh builds it
set -euo pipefail

readonly ROUNDS=1000
# What a step may take, in instructions.
readonly CEILINGS="
chunk_read 2610
chunk_write 536
amf0_decode 4900
cursor 7790
hop 322
core 10980
driver 14410
scale 127900
"

main() {
    local program=$1 step ceiling per failed=0
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    while read -r step ceiling; do
        [[ -n $step ]] || continue
        # Twice as many rounds differ by the rounds alone: the start is in both.
        per=$((($(count $((2 * ROUNDS))) - $(count "$ROUNDS")) / ROUNDS))
        printf '%-12s %7d instructions, at most %d\n' "$step" "$per" "$ceiling"
        ((per > 0 && per <= ceiling)) || failed=1
    done <<<"$CEILINGS"
    ((failed == 0)) || { echo "a step needs more than its ceiling" >&2; exit 1; }
}

# Instructions of a run of this many rounds.
count() {
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/$step" \
        "$program" "$step" "$1" >"$out/log" 2>&1 </dev/null || { cat "$out/log" >&2; exit 1; }
    awk '/^summary:|^totals:/ { n = $2 } END { print n + 0 }' "$out/$step"
}

main "$@"
