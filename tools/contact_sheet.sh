#!/usr/bin/env bash
# Renders every scene of examples/scenes.toml, draws docs/scenes.png of them, writes docs/scenes.md with
# each and its text, and what their frames are to tests/scenes.sha256, which the tests compare. Look at
# the picture before that is kept.
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

# The page: a heading for each channel, and each scene with its picture and its tables.
page() {
    cat <<'EOF'
# Scenes

A scene is a list of layers on a background: those with the higher `z` cover the others, among equals the
later covers. A layer has a source (`type`), a place and a style; groups and inner scenes are layers as
well, and overlays are layers above whatever scene is on the air. Every key is explained in
[configuration.md](configuration.md#channellayer); the same keys, as JSON, are what the API takes
(`PUT /api/v1/channels/C/scenes/S`).

Below is a scene for each source, each way to place it, each layout and each transition, with what it looks
like: the 45th frame of `stream-manager render --config examples/scenes.toml --channel C --scene S`, on a
canvas of 160 by 90 pixels. Transitions are seen half way. `make contact-sheet` makes this page.
EOF
    awk 'function tell() { if (scene == "") return
            printf "\n### %s/%s\n\n![%s](scenes/%s-%s.png)\n\n```toml\n%s```\n", \
                channel, scene, scene, channel, scene, text; scene = text = "" }
        /^\[\[channel\]\]/ { tell(); getline; split($0, part, "\""); channel = part[2]
            printf "\n## %s%s\n", toupper(substr(channel, 1, 1)), substr(channel, 2); next }
        /^\[\[channel.scene\]\]/ { tell(); text = $0 "\n"; getline
            split($0, part, "\""); scene = part[2] }
        scene != "" && /./ { text = text $0 "\n" }
        END { tell() }' "$SCENES"
}

rm -rf docs/scenes
mkdir docs/scenes
count=0
while read -r channel scene from; do
    image=$work/$(printf %03d "$count").png
    after=()
    [ -z "$from" ] || after=(--from "$from" --change-at "$CHANGE_AT")
    "$PROGRAM" render --config "$SCENES" --channel "$channel" --scene "$scene" "${after[@]}" --frames "$FRAMES" \
        --clock "$CLOCK" --out "$image" 2>"$work/log" </dev/null || { cat "$work/log" >&2; exit 1; }
    digest=$(sed -n 's/^sha256 of the last frame: //p' "$work/log")
    printf '%s  %s/%s\n' "$digest" "$channel" "$scene" >>"$work/digests"
    cp "$image" "docs/scenes/$channel-$scene.png"
    ffmpeg -v error -y -i "$image" -vf "pad=160:108:0:0:0x202020,drawtext=fontfile=$FONT:text='$channel/$scene':fontsize=10:fontcolor=white:x=2:y=94" \
        "$work/labelled.png" </dev/null
    mv "$work/labelled.png" "$image"
    count=$((count + 1))
done < <(names)
ffmpeg -v error -y -i "$work/%03d.png" -vf "tile=8x$(((count + 7) / 8)):padding=4:margin=4:color=0x202020" \
    -frames:v 1 docs/scenes.png
page >docs/scenes.md
mv "$work/digests" tests/scenes.sha256
echo "$count scenes: docs/scenes.md, docs/scenes.png, tests/scenes.sha256"
