#!/usr/bin/env bash
# What composing costs: the canonical scenes S4 and S0 at 1080p60, rendered offline, next to FFmpeg,
# which composes the same from the same files by overlay, drawbox and drawtext.
#
#   S4  an image that fills the canvas, a 720p30 video scaled to 960x540, a logo with soft edges, a
#       translucent bar with a text that runs, a clock; the video's audio and a bed
#   S0  the same without the video, the text that runs and the clock
#
#   perf/compose.sh [ROUNDS] [SECONDS]
set -euo pipefail
# shellcheck source=perf/lib.sh
source "$(dirname "$0")/lib.sh"
need ffmpeg

rounds=${1:-3}
seconds=${2:-10}
frames=$((seconds * 60))
[[ -x $binary ]] || die "$binary is not there: cargo build --release"
words="Measured here is a text that runs through its bar without an end and is as smooth at any speed"
font=$root/assets/fonts/Inter-Regular.otf

make_files() {
    local made=(ffmpeg -v error -y)
    "${made[@]}" -f lavfi -i "gradients=s=1920x1080:c0=#123456:c1=#654321:n=2" -frames:v 1 "$work/back.png"
    "${made[@]}" -f lavfi -i "testsrc2=s=1280x720:r=30:d=$seconds" -f lavfi \
        -i "sine=330:r=48000:d=$seconds" -c:v libx264 -preset veryfast -b:v 4M -c:a aac "$work/clip.mp4"
    "${made[@]}" -f lavfi -i "color=white:s=320x180,format=rgba,geq=r=220:g=90:b=40:a='255*clip(1.3-hypot(X-160,(Y-90)*1.6)/160,0,1)'" \
        -frames:v 1 "$work/logo.png"
}

scene_head() {
    cat <<TOML
[[channel]]
name = "scene"
stream = "live/scene"
background = "#000000"
[channel.video]
width = 1920
height = 1080
fps = 60
bitrate = "6M"
preset = "veryfast"
TOML
}

layer() { printf '[[channel.layer]]\nname = "%s"\ntype = "%s"\n' "$1" "$2"; }

still_layers() {
    layer back image
    printf 'path = "%s"\nfit = "fill"\n' "$work/back.png"
    layer logo image
    printf 'path = "%s"\nx = 1560\ny = 40\nwidth = 320\nheight = 180\nz = 2\n' "$work/logo.png"
    layer bar color
    printf 'color = "#00000080"\ny = 960\nheight = 120\nz = 3\n'
}

moving_layers() {
    layer clip video
    printf 'path = "%s"\nx = 480\ny = 200\nwidth = 960\nheight = 540\nz = 1\n' "$work/clip.mp4"
    layer news ticker
    printf 'text = "%s"\ny = 960\nheight = 120\nsize = 48\nspeed = 180\nz = 4\n' "$words"
    layer clock clock
    printf 'x = 40\ny = 40\nwidth = 400\nheight = 60\nsize = 48\nz = 4\n'
    cat <<TOML
[[channel.audio_source]]
name = "clip"
type = "video"
path = "$work/clip.mp4"
[[channel.audio_source]]
name = "bed"
type = "bed"
TOML
}

# ours SCENE ARGUMENTS...: CPU milliseconds per frame.
ours() {
    "$binary" render --config "$work/$1.toml" --frames "$frames" "${@:2}" 2>&1 |
        sed -n 's/.* \([0-9.]*\) ms of CPU per frame/\1/p'
}

# cpu_of COMMAND...: CPU milliseconds per frame of another program.
cpu_of() {
    local TIMEFORMAT='%U %S'
    { time "$@" 2>"$work/err"; } 2>"$work/time" || die "$(<"$work/err")"
    awk -v n="$frames" '{ printf "%.4f", ($1 + $2) * 1000 / n }' "$work/time"
}

# An image is decoded once.
still='loop=loop=-1:size=1,setpts=N/60/TB'

theirs_s0() {
    cpu_of ffmpeg -v error -y -framerate 60 -i "$work/back.png" -framerate 60 -i "$work/logo.png" \
        -filter_complex "[0]format=yuv420p,$still[a];[1]$still[l];[a][l]overlay=1560:40[b];[b]drawbox=0:960:1920:120:black@0.5:fill" \
        -frames:v "$frames" -f null -
}

theirs_s4() {
    local text="drawtext=fontfile=$font:fontsize=40:fontcolor=white"
    cpu_of ffmpeg -v error -y -framerate 60 -i "$work/back.png" -stream_loop -1 -i "$work/clip.mp4" \
        -framerate 60 -i "$work/logo.png" -f lavfi -i "sine=220:r=48000" -filter_complex \
        "[0]format=yuv420p,$still[a];[2]$still[l];[1:v]scale=960:540,fps=60[v];[a][v]overlay=480:200[b];[b][l]overlay=1560:40[c];
         [c]drawbox=0:960:1920:120:black@0.5:fill,$text:x=w-mod(t*180\,w+tw):y=1000:text='$words',
         $text:x=40:y=40:text='%{pts\:hms}'[d];[1:a][3:a]amix=2[e]" \
        -map '[d]' -map '[e]' -c:a pcm_s16le -frames:v "$frames" -t "$seconds" -f null -
}

# The frames of S4 by libx264 alone, as the node has it, without what reading them costs.
encode_alone() {
    "$binary" render --config "$work/s4.toml" --frames "$frames" --out "$work/s4.y4m" 2>/dev/null
    local read encoded
    read=$(cpu_of ffmpeg -v error -y -i "$work/s4.y4m" -f null -)
    encoded=$(cpu_of ffmpeg -v error -y -i "$work/s4.y4m" -c:v libx264 -preset veryfast -profile:v high \
        -b:v 6M -maxrate 6M -bufsize 6M -g 120 -keyint_min 120 -bf 0 -threads 2 \
        -x264-params scenecut=0:open-gop=0:filler=1 -f null -)
    rm "$work/s4.y4m"
    calc %.3f "$encoded - $read"
}

make_files
{ scene_head; still_layers; } >"$work/s0.toml"
{ scene_head; still_layers; moving_layers; } >"$work/s4.toml"
for ((round = 1; round <= rounds; round++)); do
    s4=$(ours s4)
    s4_whole=$(ours s4 --redraw)
    s0=$(ours s0)
    f4=$(theirs_s4)
    f0=$(theirs_s0)
    awk -v r="$round" -v a="$s4" -v b="$s4_whole" -v c="$s0" -v d="$f4" -v e="$f0" 'BEGIN {
        printf "round %d: S4 %.3f ms (redrawn %.3f), FFmpeg %.3f, ratio %.3f; S0 %.4f ms, FFmpeg %.3f, ratio %.4f\n",
            r, a, b, d, a / d, c, e, c / e }'
    alone=$(encode_alone)
    "$binary" render --config "$work/s4.toml" --frames "$frames" --out "$work/s4.mkv" 2>"$work/log"
    awk -v r="$round" -v alone="$alone" '/frames per second/ {
        printf "round %d: S4 composed, encoded and muxed %.3f ms of CPU at %.1f fps, / libx264 alone (%.3f) %.3f\n",
            r, $(NF - 5), $3, alone, $(NF - 5) / alone }' "$work/log"
done
