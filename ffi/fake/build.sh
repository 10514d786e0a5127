#!/bin/sh
# Builds the fake drivers into a folder:
#
#     ffi/fake/build.sh FOLDER
#
# A program finds them there before those of a GPU with LD_LIBRARY_PATH=FOLDER; any file stands for a
# render node then.
set -eu
here=$(dirname "$0")
folder=$1
flags="-shared -fPIC -O1 -g -std=gnu11 -Wall -Wextra -Werror -fvisibility=hidden"
x264=$(pkg-config --cflags --libs x264)
x265=$(pkg-config --cflags --libs x265)
va=$(pkg-config --cflags --libs libva)
mkdir -p "$folder"

# Into place at once, for those who build at the same time.
build() {
    name=$1
    shift
    # shellcheck disable=SC2086
    cc $flags -Wl,-soname,"$name" -o "$folder/$name.$$" "$@"
    mv "$folder/$name.$$" "$folder/$name"
}

build libcuda.so.1 -fvisibility=default "$here/cuda.c"
# shellcheck disable=SC2046,SC2086
build libnvidia-encode.so.1 -DFAULTS_VARIABLE='"FAKE_NVENC"' "$here/nvenc.c" "$here/buffers.c" \
    "$here/codec.c" "$here/hevc.c" "$here/faults.c" $(pkg-config --cflags ffnvcodec) $x264 $x265

# Newer releases of libva ask a display for the names of its drivers at once.
names=
if grep -q vaGetDriverNames "$(pkg-config --variable=includedir libva)/va/va_backend.h"; then
    names=-DHAS_DRIVER_NAMES
fi
# shellcheck disable=SC2086
build libva-drm.so.2 $names "$here/va_display.c" $va
# shellcheck disable=SC2086
build fake_drv_video.so -DFAULTS_VARIABLE='"FAKE_VAAPI"' "$here/va_driver.c" "$here/va_encode.c" \
    "$here/splice.c" "$here/codec.c" "$here/hevc.c" "$here/faults.c" $va $x264 $x265
