#!/usr/bin/env bash
# Installs what Stream Manager needs from Debian's packages, and nothing that is there already.
#
#   tools/deps.sh run     what building and running takes
#   tools/deps.sh test    that, and what the tests play with and publish from
#
# It says what is missing and how to install it by hand. Packages that would start a service when
# they are installed do not start it here.
set -euo pipefail

readonly RUST_MIN=1.91
readonly POLICY=/usr/sbin/policy-rc.d

readonly BUILD=(
    build-essential ca-certificates clang git libclang-dev pkg-config
    libavcodec-dev libavdevice-dev libavfilter-dev libavformat-dev libavutil-dev
    libffmpeg-nvenc-dev libswresample-dev libswscale-dev libx264-dev
)
readonly TEST=(
    bpftrace chromium curl ffmpeg gstreamer1.0-libav gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-tools
    iproute2 libnginx-mod-rtmp libva-dev libx265-dev linux-perf mpv nginx obs-studio prometheus
    python3-av python3-venv redis-sentinel redis-server redis-tools rtmpdump util-linux valgrind
    vlc-bin vlc-plugin-base xvfb
)

main() {
    local scope=${1:-} wanted=() missing=()
    case $scope in
        run) wanted=("${BUILD[@]}") ;;
        test) wanted=("${BUILD[@]}" "${TEST[@]}") ;;
        *) die "usage: tools/deps.sh run|test" ;;
    esac
    command -v dpkg-query >/dev/null || by_other_means "${wanted[@]}"
    mapfile -t wanted < <(rust_packages "$scope"; node_packages "$scope"; printf '%s\n' "${wanted[@]}")
    mapfile -t missing < <(only_missing "${wanted[@]}")
    if ((${#missing[@]} > 0)); then
        install "${missing[@]}"
    fi
    check_rust "$scope"
}

# Debian's own Rust, one package name per line, where there is no Rust or only Debian's older one.
# A Rust from elsewhere is left to whoever put it there.
rust_packages() {
    local cargo
    cargo=$(command -v cargo || echo /usr/bin/cargo)
    [[ $cargo == /usr/bin/cargo ]] || return 0
    new_enough cargo || printf '%s\n' cargo-web rustc-web
    [[ $1 == run ]] || new_enough cargo-clippy || echo rust-web-clippy
    [[ $1 == run ]] || new_enough rustfmt || echo rustfmt-web
}

# For the dashboard's checks. Debian's npm wants Debian's Node.js: those of another origin are left
# to whoever put them there.
node_packages() {
    [[ $1 == run ]] || command -v npm >/dev/null || printf '%s\n' nodejs npm
}

# Whether the tool is there; for cargo, of a version that can build this.
new_enough() {
    local found
    found=$("$1" --version 2>/dev/null) || return 1
    [[ $1 != cargo ]] || at_least "$RUST_MIN" "$(cut -d' ' -f2 <<<"$found")"
}

at_least() {
    [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$1" ]]
}

only_missing() {
    local package
    for package in "$@"; do
        [[ -z $package ]] || is_installed "$package" || echo "$package"
    done
}

is_installed() {
    local state
    state=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null) || return 1
    [[ $state == ?i* ]]
}

install() {
    local by_hand="apt-get install --no-install-recommends $*"
    if ((EUID != 0)); then
        say "These packages are missing: $*"
        say "Install them, then run this again:"
        die "  sudo apt-get update && sudo $by_hand"
    fi
    say "Installing what is missing: $*"
    say "(by hand: apt-get update && $by_hand)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || say "The package lists could not be refreshed; trying those at hand."
    can_be_had "$@"
    hold_services
    local log
    log=$(mktemp)
    say "This takes a few minutes."
    apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        say "The installation failed. Once the cause above is mended, run this again, or by hand:"
        die "  $by_hand"
    }
    rm -f "$log"
    keep_services_off "$@"
}

# Older and newer systems have no new Rust of their own.
can_be_had() {
    [[ " $* " != *" cargo-web "* ]] || apt-cache show cargo-web >/dev/null 2>&1 || die \
        "This system has no package of Rust $RUST_MIN or newer." \
        "Install it with rustup, then run this again."
}

# Until this script ends, packages are told not to start what they bring.
hold_services() {
    [[ ! -e $POLICY ]] || return 0
    trap 'rm -f "$POLICY"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

# Nor do they start with the machine: the tests run their own, on ports of their own.
keep_services_off() {
    command -v systemctl >/dev/null || return 0
    local service
    for service in nginx redis-server redis-sentinel prometheus; do
        [[ " $* " != *" $service "* ]] ||
            systemctl disable --quiet "$service.service" 2>/dev/null || true
    done
}

check_rust() {
    hash -r
    new_enough cargo || die "Rust $RUST_MIN or newer is needed, and there is" \
        "$(cargo --version 2>/dev/null || echo none). Install it with rustup (or: rustup update), then run this again."
    [[ $1 != test ]] || new_enough cargo-clippy || die "clippy is missing:" \
        "rustup component add clippy"
    [[ $1 != test ]] || new_enough rustfmt || die "rustfmt is missing:" \
        "rustup component add rustfmt"
}

by_other_means() {
    say "This machine has no dpkg. Install what these Debian packages hold, by its own means:"
    say "  $*"
    die "and Rust $RUST_MIN or newer; then use cargo directly (see README.md)."
}

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

main "$@"
