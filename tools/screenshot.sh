#!/usr/bin/env bash
# Plays the demo programme, with a publisher in it, and keeps one picture: tools/screenshot.sh FILE
# Called by `make screenshot`, which has built the program.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=perf/lib.sh
. perf/lib.sh

file=${1:?usage: tools/screenshot.sh FILE.png}
need ffmpeg

start_node
key=$(grep -oE '[0-9a-f]{64}' "$work/node.log" | head -n 1)
background publisher ffmpeg -v error -re -f lavfi -i "mandelbrot=size=1280x720:rate=30:start_scale=0.4" \
    -f lavfi -i sine=r=48000,volume=0.1 -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 \
    -b:v 2500k -c:a aac -f flv "rtmp://127.0.0.1:$rtmp/live/studio?key=$key"
sleep 6
mkdir -p "$(dirname "$file")"
ffmpeg -v error -y -i "rtmp://127.0.0.1:$rtmp/live/demo" -ss 1 -frames:v 1 -update 1 "$file"
echo "wrote $file"
