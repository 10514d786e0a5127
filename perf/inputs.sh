#!/usr/bin/env bash
# What showing videos costs beyond decoding them, at 1080p, rendered offline:
#
#   full    one 1080p60 video that fills the canvas: by samples, the CPU time in the program itself and
#           in libc, that is without the libraries that decode and without the kernel
#   tiles   sixteen 480x270p30 videos, four by four, next to FFmpeg (`xstack`) with the same files;
#           once tagged as BT.709, and once untagged, which is BT.601 at this size: the node
#           converts those, FFmpeg does not
#
#   perf/inputs.sh [ROUNDS] [SECONDS]
set -euo pipefail
# shellcheck source=perf/lib.sh
source "$(dirname "$0")/lib.sh"
need ffmpeg perf

rounds=${1:-3}
seconds=${2:-10}
[[ -x $binary ]] || die "$binary is not there: cargo build --release"

clip() { # FILE SIZE RATE BITRATE ARGUMENTS...
    ffmpeg -v error -y -f lavfi -i "testsrc2=s=$2:r=$3:d=$seconds,format=yuv420p" "${@:5}" \
        -c:v libx264 -preset veryfast -b:v "$4" "$work/$1"
}

scene() { # RATE
    cat <<TOML
[[channel]]
name = "scene"
stream = "live/scene"
[channel.video]
width = 1920
height = 1080
fps = $1
TOML
}

layer() { # NAME FILE X Y WIDTH HEIGHT
    printf '[[channel.layer]]\nname = "%s"\ntype = "video"\npath = "%s"\nx = %d\ny = %d\nwidth = %d\nheight = %d\n' \
        "$1" "$work/$2" "${@:3}"
}

tiles() { # PREFIX
    local n
    for ((n = 0; n < 16; n++)); do
        layer "tile$n" "$1$n.mp4" $((n % 4 * 480)) $((n / 4 * 270)) 480 270
    done
}

# ours SCENE FRAMES: CPU milliseconds per frame.
ours() {
    "$binary" render --config "$work/$1.toml" --frames "$2" 2>&1 |
        sed -n 's/.* \([0-9.]*\) ms of CPU per frame/\1/p'
}

# xstack PREFIX FRAMES: the same of FFmpeg.
xstack() {
    local n layout='' inputs=() TIMEFORMAT='%U %S'
    for ((n = 0; n < 16; n++)); do
        inputs+=(-i "$work/$1$n.mp4")
        layout+="$((n % 4 * 480))_$((n / 4 * 270))|"
    done
    { time ffmpeg -v error -y "${inputs[@]}" -filter_complex \
        "xstack=inputs=16:layout=${layout%|}" -f null - 2>"$work/err"; } 2>"$work/time" ||
        die "$(<"$work/err")"
    awk -v n="$2" '{ printf "%.4f", ($1 + $2) * 1000 / n }' "$work/time"
}

# samples SCENE FRAMES: samples of a run in the program itself and in libc, which copies for it.
samples() {
    perf record -q -o "$work/samples" -e cpu-clock -F 2000 -- \
        "$binary" render --config "$work/$1.toml" --frames "$2" >"$work/log" 2>&1
    perf report -i "$work/samples" --no-children --sort dso -n --stdio 2>/dev/null |
        awk '$3 ~ /^(stream-manager|libc\.so)/ { n += $2 } END { print n + 0 }'
}

# beyond SCENE FRAMES: CPU milliseconds per frame in the program and libc: of a long run less those of
# a short one, so that what is loaded at first is not counted.
beyond() {
    calc %.3f "($(samples "$1" $((4 * $2))) - $(samples "$1" "$2")) * 0.5 / (3 * $2)"
}

tagged=(-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv)
clip full.mp4 1920x1080 60 12M "${tagged[@]}"
for ((n = 0; n < 16; n++)); do
    clip "hd$n.mp4" 480x270 30 600k "${tagged[@]}"
    clip "sd$n.mp4" 480x270 30 600k
done
{ scene 60; layer full full.mp4 0 0 1920 1080; } >"$work/full.toml"
{ scene 30; tiles hd; } >"$work/hd.toml"
{ scene 30; tiles sd; } >"$work/sd.toml"
for ((round = 1; round <= rounds; round++)); do
    echo "round $round: full screen, beyond decoding $(beyond full $((seconds * 60))) ms"
    for kind in hd sd; do
        a=$(ours $kind $((seconds * 30)))
        b=$(xstack $kind $((seconds * 30)))
        echo "round $round: tiles ($kind) $a ms, FFmpeg $b, ratio $(calc %.3f "$a / $b")"
    done
done
