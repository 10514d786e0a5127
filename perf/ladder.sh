#!/usr/bin/env bash
# A ladder of 1080p, 720p, 480p and 360p at 30 frames a second, veryfast, from raw pictures: what our
# scalers and encodes cost next to each of those encodes alone, and next to FFmpeg, which makes the same
# ladder of the same pictures by split, scale and four libx264. One thread per encoder, in turns.
#
#   perf/ladder.sh [ROUNDS] [SECONDS]
set -euo pipefail
# shellcheck source=perf/lib.sh
source "$(dirname "$0")/lib.sh"
need ffmpeg

rounds=${1:-3}
seconds=${2:-10}
ladder=${LADDER:-$root/target/release/examples/ladder}
pictures=$work/pictures.yuv
[[ -x $ladder ]] || die "cargo build --release --examples first"

ffmpeg -v error -y -f lavfi -i "testsrc2=s=1920x1080:r=30,noise=alls=4:allf=t" -t "$seconds" \
    -pix_fmt yuv420p -f rawvideo "$pictures"
frames=$((seconds * 30))

# x264 BITRATE: the options of an encode, as the node has them.
x264() {
    echo "-c:v libx264 -preset veryfast -profile:v high -b:v $1 -maxrate $1 -bufsize $1 -g 60" \
        "-keyint_min 60 -bf 0 -threads 1 -x264-params scenecut=0:open-gop=0:filler=1:frame-threads=1"
}

# CPU milliseconds of FFmpeg per picture.
by_ffmpeg() {
    local filter='split=4[a][b][c][d];[b]scale=1280:720[e];[c]scale=854:480[f];[d]scale=640:360[g]'
    # shellcheck disable=SC2046
    ( TIMEFORMAT='%U %S'
      time ffmpeg -v error -y -f rawvideo -pix_fmt yuv420p -s 1920x1080 -r 30 -i "$pictures" \
        -filter_threads 1 -filter_complex_threads 1 -filter_complex "$filter" \
        -map '[a]' $(x264 6M) -f null - -map '[e]' $(x264 3M) -f null - \
        -map '[f]' $(x264 1500k) -f null - -map '[g]' $(x264 800k) -f null - ) 2>&1 |
        awk -v n="$frames" 'END { printf "%.3f", ($1 + $2) * 1000 / n }'
}

for ((round = 1; round <= rounds; round++)); do
    # libx264 says much.
    "$ladder" "$pictures" >"$work/ours" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    theirs=$(by_ffmpeg)
    if ((round == 1)); then grep alone "$work/ours"; fi
    awk -v r="$round" -v f="$theirs" '
        /^scaling/ { s = $2 } /^ladder  / { l = $2 } /^ladder \// { a = $4 }
        END { printf "round %d: scaling %.3f ms, ladder %.3f ms, / encodes alone %.3f, FFmpeg %.3f ms, / FFmpeg %.3f\n",
            r, s, l, a, f, l / f }' "$work/ours"
done
