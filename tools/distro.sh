#!/usr/bin/env bash
# Builds and tests this commit in a fresh Debian of another release, with the FFmpeg that it has:
#
#   tools/distro.sh bookworm|trixie|sid [COMMAND...]
#
# COMMAND is `make test` unless another one is given; it runs as root in the top folder of the tree, in
# a chroot. Needs root and debootstrap, and takes the mirror that this machine installs from; another
# one is named by MIRROR. The system is made once, in target/distro/RELEASE; delete it for a new one.
# What was built there is kept as well. Where that Debian's own Rust is too old, the caller's is used.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly RELEASE=${1:-}
readonly ROOT=$PWD/target/distro/$RELEASE
mounted=()

main() {
    case $RELEASE in
        bookworm | trixie | sid) ;;
        *) die "usage: tools/distro.sh bookworm|trixie|sid [COMMAND...]" ;;
    esac
    ((EUID == 0)) || die "a chroot needs root: sudo tools/distro.sh $*"
    command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
    [[ -e $ROOT/made ]] || make_system
    trap unmount EXIT
    trap 'exit 130' INT TERM
    put proc -t proc proc
    put sys -t sysfs sys
    put dev --rbind /dev
    lend_rust
    rm -rf "$ROOT/work.new"
    git clone --quiet --depth 1 "file://$PWD" "$ROOT/work.new"
    # What was built before goes on in the new tree.
    [[ ! -d $ROOT/work/target ]] || mv "$ROOT/work/target" "$ROOT/work.new/target"
    rm -rf "$ROOT/work"
    mv "$ROOT/work.new" "$ROOT/work"
    shift
    [[ $# -gt 0 ]] || set -- make test
    chroot "$ROOT" env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
        PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c 'cd /work && exec "$@"' sh "$@"
}

make_system() {
    rm -rf "$ROOT"
    mkdir -p "$ROOT"
    # shellcheck disable=SC2016 # the dollar is apt's
    local mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -1)}
    [[ -n $mirror ]] || die "apt names no mirror: set MIRROR"
    debootstrap --variant=minbase --include=ca-certificates,git,make "$RELEASE" "$ROOT" "$mirror"
    # A mirror may lag behind.
    echo 'Acquire::Check-Valid-Until "false";' >"$ROOT/etc/apt/apt.conf.d/mirror"
    touch "$ROOT/made"
}

# The folders of a Rust that rustup has put there, read by both. Not on a system with its own packages.
lend_rust() {
    local cargo=${CARGO_HOME:-$HOME/.cargo} rustup=${RUSTUP_HOME:-$HOME/.rustup}
    [[ -x $cargo/bin/cargo && -d $rustup ]] || return 0
    put root/.cargo --bind "$cargo"
    put root/.rustup --bind "$rustup"
}

# put FOLDER ARGUMENTS: mounts there, until the end.
put() {
    mkdir -p "$ROOT/$1"
    mount "${@:2}" "$ROOT/$1"
    mounted=("$ROOT/$1" "${mounted[@]}")
}

unmount() {
    local folder
    for folder in "${mounted[@]}"; do
        mount --make-rslave "$folder" 2>/dev/null || true
        umount --recursive "$folder" || true
    done
}

die() {
    echo "$*" >&2
    exit 1
}

main "$@"
