#!/usr/bin/env bash
# Measures glass to glass, without a camera: a node draws the number of each frame as blocks, players
# decode the stream, and the number says when the frame was due.
#
#   tools/glass.sh [SECONDS] [PLAYER...]
#
# PLAYER is ffmpeg, gstreamer or chromium; without one all that are installed measure one after the other, and
# those that are missing are named. STREAM_MANAGER names another program than target/release's; RTMP and
# HTTP are the node's ports.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=perf/lib.sh
. perf/lib.sh

readonly WIDTH=1280 HEIGHT=720 FPS=30
# The row of blocks: each is 32 pixels wide.
readonly BLOCKS_Y=320 BLOCKS_H=80

main() {
    local seconds=60 player players
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        seconds=$1
        shift
    fi
    ((seconds >= 1 && seconds <= 86400)) || die "usage: tools/glass.sh [SECONDS] [PLAYER...]"
    players=("$@")
    [[ $# -gt 0 ]] || players=(ffmpeg gstreamer chromium)
    config >"$work/glass.toml"
    start_node --config "$work/glass.toml"
    for player in "${players[@]}"; do
        case $player in
            ffmpeg | gstreamer | chromium) ;;
            *) die "there is no player $player here: ffmpeg, gstreamer and chromium are known" ;;
        esac
        if ! "has_$player"; then
            [[ $# -eq 0 ]] || die "$player is missing: make deps installs it"
            echo "$player: missing"
            continue
        fi
        measure "$player" "$seconds"
    done
}

config() {
    cat <<TOML
[node]
log = "warn"
[rtmp]
bind = "127.0.0.1"
[[channel]]
name = "glass"
[channel.video]
width = $WIDTH
height = $HEIGHT
fps = $FPS
tune = "zerolatency"
keyframe_seconds = 1
origin_stamp = true
[[channel.layer]]
name = "card"
type = "test-card"
[[channel.layer]]
name = "number"
type = "frame-counter"
z = 1
y = $BLOCKS_Y
height = $BLOCKS_H
TOML
}

url() { echo "rtmp://127.0.0.1:$rtmp/live/glass"; }

# measure PLAYER SECONDS: what it shows, judged by its numbers.
measure() {
    local player=$1 seconds=$2 width height
    mkfifo "$work/$player"
    background "$player" "play_$player" "$work/$player"
    local playing=$last
    echo "player                 $player"
    "about_$player" | sed 's/^/method                 /'
    read -r width height < <("size_$player")
    "$binary" load glass --url "$(url)" --width "$width" --height "$height" --fps "$FPS" \
        --seconds "$seconds" <"$work/$player" || {
        cat "$work/$player.log" >&2
        die "$player has shown nothing that could be measured"
    }
    stop "$playing"
}

size_ffmpeg() { echo "$WIDTH $BLOCKS_H"; }

has_ffmpeg() { command -v ffmpeg >/dev/null; }

about_ffmpeg() {
    echo "$WIDTH x $HEIGHT at $FPS fps, x264 zerolatency; from when a frame's tick was due to its"
    echo "picture decoded by ffmpeg (nobuffer, low_delay), over RTMP on loopback; no display"
}

play_ffmpeg() {
    exec ffmpeg -v error -fflags nobuffer -flags low_delay -probesize 32k -analyzeduration 0 \
        -i "$(url)" -an -fps_mode passthrough \
        -vf "crop=$WIDTH:$BLOCKS_H:0:$BLOCKS_Y,format=gray" \
        -flush_packets 1 -f rawvideo -y "$1"
}

size_gstreamer() { echo "$WIDTH $BLOCKS_H"; }

has_gstreamer() {
    command -v gst-launch-1.0 >/dev/null && gst-inspect-1.0 --exists rtmp2src &&
        gst-inspect-1.0 --exists avdec_h264
}

about_gstreamer() {
    echo "$WIDTH x $HEIGHT at $FPS fps, x264 zerolatency; from when a frame's tick was due to its"
    echo "picture decoded by GStreamer (rtmp2src, avdec_h264), over RTMP on loopback; no display"
}

play_gstreamer() {
    exec gst-launch-1.0 -q rtmp2src location="$(url)" ! flvdemux name=d d.video ! queue ! h264parse ! \
        avdec_h264 max-threads=1 ! videocrop top="$BLOCKS_Y" \
        bottom="$((HEIGHT - BLOCKS_Y - BLOCKS_H))" ! videoconvert ! video/x-raw,format=GRAY8 ! \
        filesink location="$1" sync=false buffer-mode=unbuffered
}

chromium_path() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

# A page makes the row of blocks smaller itself.
size_chromium() { echo "160 2"; }

has_chromium() {
    chromium_path >/dev/null && command -v node >/dev/null && [[ -d web/node_modules/puppeteer-core ]]
}

about_chromium() {
    echo "$WIDTH x $HEIGHT at $FPS fps, x264 zerolatency; from when a frame's tick was due to when"
    echo "Chromium said that it shows it, on the dashboard's preview (FLV over HTTP, Media Source"
    echo "Extensions, with its buffer), and the test had its pixels; headless, on loopback"
}

play_chromium() {
    exec node web/test/glass.mjs "$(chromium_path)" "http://127.0.0.1:$http" \
        "$(cat "$work/data/api-token")" live/glass "$BLOCKS_Y" "$BLOCKS_H" "$1"
}

main "$@"
