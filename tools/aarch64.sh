#!/usr/bin/env bash
# Looks how far this commit goes on 64-bit Arm, without such a machine. Inside a throw-away Debian, as
# root:
#
#   tools/distro.sh sid tools/aarch64.sh [check|build]
#
# It compiles the kernels with their tests and runs these under qemu-user; then it checks the whole
# program, or builds it and lets it render a scene under qemu-user. Unstable has the Rust that this
# takes, for both architectures; its FFmpeg is newer than what the program knows, so that Debian 13's
# is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly TARGET=aarch64-unknown-linux-gnu GCC=aarch64-linux-gnu-gcc
# Not the Rust that the caller lends, which has no library for this target.
export PATH=/usr/bin:/bin DEBIAN_FRONTEND=noninteractive
export PKG_CONFIG_ALLOW_CROSS=1
export PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
export BINDGEN_EXTRA_CLANG_ARGS=--target=aarch64-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$GCC
export CC_aarch64_unknown_linux_gnu=$GCC
# glibc 2.43 has a structure that liburing inside glommio looks for and does not include.
readonly OPENAT2=$PWD/target/aarch64/openat2.h
export CFLAGS_aarch64_unknown_linux_gnu="-D_GNU_SOURCE -include $OPENAT2"

main() {
    local do=${1:-check}
    [[ $do == check || $do == build ]] || die "usage: tools/aarch64.sh [check|build]"
    dpkg --print-foreign-architectures | grep -q arm64 || install
    mkdir -p target/aarch64
    printf '#ifndef __ASSEMBLER__\n#include <fcntl.h>\n#endif\n' >"$OPENAT2"
    rustc --edition 2024 --test -O -C debug-assertions --target "$TARGET" -C linker="$GCC" \
        tools/aarch64.rs -o target/aarch64/kernels
    qemu-aarch64 target/aarch64/kernels
    cargo "$do" --locked --bins --target "$TARGET" --no-default-features \
        --features ffmpeg7,nvenc,vaapi,x264
    [[ $do == check ]] || qemu-aarch64 "target/$TARGET/debug/stream-manager" render \
        --config examples/scenes.toml --channel time --scene clock --frames 45 --clock 1700000000 \
        --out target/aarch64/clock.png
}

install() {
    local mirror arm=(lib{avcodec,avdevice,avfilter,avformat,avutil,swresample,swscale}-dev)
    mirror=$(awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list)
    dpkg --add-architecture arm64
    echo "deb $mirror trixie main" >/etc/apt/sources.list.d/trixie.list
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' >/etc/apt/preferences.d/trixie
    # What is in both is taken from there, as its versions go together.
    printf '\nPackage: libav* libsw* libpostproc*\nPin: release n=trixie\nPin-Priority: 1001\n' \
        >>/etc/apt/preferences.d/trixie
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends build-essential cargo clang gcc-aarch64-linux-gnu \
        git libc6-dev:arm64 libclang-dev libffmpeg-nvenc-dev libstd-rust-dev:arm64 pkgconf qemu-user \
        rustc "${arm[@]/%/:arm64}" libva-dev:arm64 libx264-dev:arm64
}

die() {
    echo "$*" >&2
    exit 1
}

main "$@"
