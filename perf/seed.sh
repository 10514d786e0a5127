#!/usr/bin/env bash
# The reference configuration with one viewer and one push: perf/seed.sh [SECONDS]
#
# Prints dropped ticks, gaps between timestamps, and CPU per frame. The viewer is ffmpeg, which
# writes what it gets without decoding; the destination is nginx-rtmp.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

seconds=${1:-60}
fps=60
push=${PUSH:-21937}
need ffmpeg ffprobe

# The file as it is, but with a destination that is there.
sed -E "s|^(url *= *)\"rtmps?://.*|\1\"rtmp://127.0.0.1:$push/live/seed\"|" \
    "$root/examples/seed.toml" >"$work/seed.toml"
stream=$(sed -n 's/^stream *= *"\([^"]*\)".*/\1/p' "$work/seed.toml" | head -n 1)
start_nginx "$push"
start_node --config "$work/seed.toml"
background viewer ffmpeg -v error -y -i "rtmp://127.0.0.1:$rtmp/$stream" -map 0 -c copy \
    -f flv "$work/seen.flv"
viewer=$last
sleep 5

get /metrics >"$work/before"
cpu_before=$(cpu_seconds "$node")
sleep "$seconds"
cpu_after=$(cpu_seconds "$node")
get /metrics >"$work/after"
kill -INT "$viewer"
wait "$viewer" 2>/dev/null || true

grown() { calc %d "$(sum_of "$work/after" "$1") - $(sum_of "$work/before" "$1")"; }
frames=$(grown encoder_frames_total)
dropped=$(grown encoder_dropped_frames)
((frames > 0)) || die "nothing was encoded"

row() { printf '%-26s %s\n' "$1" "$2"; }
row 'frames encoded' "$frames in $seconds s, $(calc %.2f "$frames / $seconds") per second"
row 'ticks dropped' "$dropped, $(calc %.3f "100 * $dropped / ($frames + $dropped)") %"
row 'CPU of the node' "$(calc %.1f "100 * ($cpu_after - $cpu_before) / $seconds") % of a core"
row 'CPU per frame' "$(calc %.3f "1000 * ($cpu_after - $cpu_before) / $frames") ms"
row 'memory (RSS)' "$(awk '/VmRSS/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$node/status")"
row 'pushed' "$(grown output_bytes_total) bytes, connected $(sum_of "$work/after" output_connects_total | cut -d. -f1) time(s)"
row 'lost to slow readers' "$(grown rtmp_viewer_drops_total)"
ffprobe -v error -select_streams v:0 -show_entries packet=dts_time,size,flags -of csv=p=0 \
    "$work/seen.flv" | awk -F, -v fps="$fps" '
    NR > 1 { gap = $1 - last; if (gap > 1.5 / fps) { gaps++; missing += int(gap * fps + 0.5) - 1 }
             if (gap <= 0) back++; if (gap > widest) widest = gap }
    { last = $1; bytes += $2; if (NR == 1) first = $1; if ($3 ~ /K/) keys++ }
    END { row = "%-26s %s\n"
          printf row, "frames seen by the viewer", NR " in " last - first " s, " keys " keyframes"
          printf row, "bitrate seen", sprintf("%.0f bit/s of video", bytes * 8 / (last - first))
          printf row, "gaps between timestamps", gaps + 0 " (" missing + 0 " frames), widest " \
              sprintf("%.1f ms", widest * 1000) ", " back + 0 " backwards" }'
