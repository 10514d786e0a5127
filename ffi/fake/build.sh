#!/bin/sh
# Builds the fake drivers into a folder:
#
#     ffi/fake/build.sh FOLDER
#
# A program finds them there before those of a GPU with LD_LIBRARY_PATH=FOLDER.
set -eu
here=$(dirname "$0")
folder=$1
flags="-shared -fPIC -O1 -g -std=gnu11 -Wall -Wextra -Werror"
mkdir -p "$folder"
# Into place at once, for those who build at the same time.
cc $flags -Wl,-soname,libcuda.so.1 -o "$folder/cuda.$$" "$here/cuda.c"
mv "$folder/cuda.$$" "$folder/libcuda.so.1"
# shellcheck disable=SC2086,SC2046
cc $flags -fvisibility=hidden -Wl,-soname,libnvidia-encode.so.1 -o "$folder/nvenc.$$" \
    "$here/nvenc.c" "$here/buffers.c" "$here/codec.c" "$here/faults.c" \
    $(pkg-config --cflags ffnvcodec) $(pkg-config --cflags --libs x264)
mv "$folder/nvenc.$$" "$folder/libnvidia-encode.so.1"
