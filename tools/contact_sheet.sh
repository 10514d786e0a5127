#!/usr/bin/env bash
# Renders every scene of examples/scenes.toml, draws docs/scenes.png of them, and writes what their
# frames are to tests/scenes.sha256, which the tests compare. Look at the picture before that is kept.
#
#   tools/contact_sheet.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PROGRAM=${1:-target/release/stream-manager} SCENES=examples/scenes.toml
# A second and a half, from 2023-11-14 22:13:20 on.
readonly FRAMES=45 CLOCK=1700000000
readonly FONT=$PWD/assets/fonts/Inter-Regular.otf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The frame at which a scene with a transition begins to come, after the first of its channel.
readonly CHANGE_AT=15

# Each line a channel and a scene, and for one with a transition the first scene.
names() {
    awk -F'"' 'function tell() { if (scene != "") print channel, scene, from; scene = from = "" }
        /^\[/ { table = $0 }
        /^\[\[channel/ && !/layer/ { tell() }
        /^name/ && table == "[[channel]]" { channel = $2; first = "" }
        /^name/ && table == "[[channel.scene]]" { scene = $2; if (first == "") first = $2 }
        /^transition/ && table == "[[channel.scene]]" { from = first }
        END { tell() }' "$SCENES"
}

count=0
while read -r channel scene from; do
    image=$work/$(printf %03d "$count").png
    after=()
    [ -z "$from" ] || after=(--from "$from" --change-at "$CHANGE_AT")
    "$PROGRAM" render --config "$SCENES" --channel "$channel" --scene "$scene" "${after[@]}" --frames "$FRAMES" \
        --clock "$CLOCK" --out "$image" 2>"$work/log" </dev/null || { cat "$work/log" >&2; exit 1; }
    digest=$(sed -n 's/^sha256 of the last frame: //p' "$work/log")
    printf '%s  %s/%s\n' "$digest" "$channel" "$scene" >>"$work/digests"
    ffmpeg -v error -y -i "$image" -vf "pad=160:108:0:0:0x202020,drawtext=fontfile=$FONT:text='$channel/$scene':fontsize=10:fontcolor=white:x=2:y=94" \
        "$work/labelled.png" </dev/null
    mv "$work/labelled.png" "$image"
    count=$((count + 1))
done < <(names)
ffmpeg -v error -y -i "$work/%03d.png" -vf "tile=8x$(((count + 7) / 8)):padding=4:margin=4:color=0x202020" \
    -frames:v 1 docs/scenes.png
mv "$work/digests" tests/scenes.sha256
echo "$count scenes: docs/scenes.png, tests/scenes.sha256"
