#!/usr/bin/env bash
# What one profile has more of than another: perf/diff.sh A.folded B.folded [FILE.svg]
#
# The files hold folded stacks, as `GET /api/v1/profile`, perf/flame.sh and perf/history have them;
# those that end in .gz are unpacked. Prints the ten functions whose own part of all samples differs
# most, and with inferno (`cargo install inferno`) draws a differential flame graph: red where B is
# longer, blue where it is shorter.
set -euo pipefail

(($# >= 2)) || { echo "usage: perf/diff.sh A.folded B.folded [FILE.svg]" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

unpack() {
    case $1 in
        *.gz) gzip --decompress --stdout "$1" ;;
        *) cat "$1" ;;
    esac
}

unpack "$1" >"$folder/a"
unpack "$2" >"$folder/b"
for side in a b; do
    grep -qE ' [0-9]+$' "$folder/$side" ||
        { echo "a profile without samples: nothing to compare" >&2; exit 1; }
done

echo 'own part of all samples: A, B, difference'
awk '
    {
        count = $NF; line = $0; sub(/ [0-9]+$/, "", line)
        depth = split(line, stack, ";")
        own[FILENAME, stack[depth]] += count; names[stack[depth]] = 1; all[FILENAME] += count
    }
    END {
        a = ARGV[1]; b = ARGV[2]
        for (name in names) {
            was = 100 * own[a, name] / all[a]; is = 100 * own[b, name] / all[b]
            by = is - was
            printf "%.4f %6.2f %% %6.2f %% %+6.2f  %s\n", by < 0 ? -by : by, was, is, by, name
        }
    }' "$folder/a" "$folder/b" | sort -rn | head -n 10 | cut -d' ' -f2- | cut -c1-120

picture=${3:-diff.svg}
if command -v inferno-diff-folded >/dev/null; then
    inferno-diff-folded --normalize "$folder/a" "$folder/b" |
        inferno-flamegraph --title "B next to A" >"$picture"
    echo "wrote $picture"
else
    echo "no inferno-diff-folded here, so no picture: cargo install inferno"
fi
