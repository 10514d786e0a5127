#!/usr/bin/env bash
# A newer FFmpeg than the system's, for tests alone: Enhanced RTMP is younger than Debian 12. It
# comes from the Python package imageio-ffmpeg and stays under target/.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSION=0.8.1
readonly HOME_OF_IT=$PWD/target/modern-ffmpeg

[[ $(cat "$HOME_OF_IT/version" 2>/dev/null) == "$VERSION" ]] && exit
rm -rf "$HOME_OF_IT"
python3 -m venv "$HOME_OF_IT"
"$HOME_OF_IT/bin/pip" install --quiet "imageio-ffmpeg==$VERSION"
ln -s "$("$HOME_OF_IT/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" \
    "$HOME_OF_IT/bin/ffmpeg"
"$HOME_OF_IT/bin/ffmpeg" -version | head -n 1
echo "$VERSION" >"$HOME_OF_IT/version"
