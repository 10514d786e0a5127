# Shared by the recipes that ask the kernel about a running node.
# shellcheck shell=bash

# Exit status of a recipe that cannot run here: it has said what is missing and what gives it.
readonly MISSING=3

# missing WHAT REMEDY...: ends the recipe.
missing() {
    local what=$1
    shift
    printf 'missing: %s\n' "$what"
    printf '  to have it: %s\n' "$@"
    exit "$MISSING"
}

# need_tool NAME PACKAGE
need_tool() {
    command -v "$1" >/dev/null || missing "$1" "apt-get install $2"
}

need_root() {
    ((EUID == 0)) || missing "root: the kernel tells nobody else about its events" "sudo $0 ..."
}

# need_tracefs ARGUMENTS: the folder in which the kernel describes its events. Where nobody has
# mounted it, the recipe begins anew with these arguments in a mount namespace of its own, in which
# it has, so that nothing changes for others.
need_tracefs() {
    [[ ! -d /sys/kernel/tracing/events ]] || return 0
    local remedy="a kernel with CONFIG_FTRACE=y, and: mount -t tracefs tracefs /sys/kernel/tracing"
    grep -qw tracefs /proc/filesystems || missing "tracefs: this kernel has none" "$remedy"
    if [[ -n ${TRACEFS_MOUNTED:-} ]] || ! unshare --mount true 2>/dev/null; then
        missing "tracefs: it may not be mounted here (in a container?)" "$remedy"
    fi
    export TRACEFS_MOUNTED=1
    exec unshare --mount bash -c \
        'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec bash "$@"' bash "$0" "$@"
}

# need_event NAME WHAT: an event such as sched/sched_switch.
need_event() {
    [[ -d /sys/kernel/tracing/events/$1 ]] || missing "the kernel's event ${1/\//:}" "$2"
}

# find_node [PID]: the process of that number, or the only node; it is in $pid, and its program in
# $program.
find_node() {
    pid=${1:-}
    if [[ -z $pid ]]; then
        mapfile -t nodes < <(pgrep -x stream-manager)
        ((${#nodes[@]} > 0)) || { echo "no node runs here: name its process" >&2; exit 1; }
        ((${#nodes[@]} == 1)) || { echo "several nodes run: name one of ${nodes[*]}" >&2; exit 1; }
        pid=${nodes[0]}
    fi
    program=$(readlink "/proc/$pid/exe" 2>/dev/null) ||
        { echo "there is no process $pid, or it is somebody else's" >&2; exit 1; }
    # The tools find probes by the path, in which these have a meaning of their own.
    [[ $program != *[!A-Za-z0-9._/+-]* ]] ||
        missing "a path of the program without blanks and such: $program" "another folder for it"
}

# need_probes: the node's own static probes.
need_probes() {
    need_tool readelf binutils
    readelf -n "$program" 2>/dev/null | grep -q 'Provider: stream_manager' ||
        missing "probes in $program" "a build that nobody has taken .note.stapsdt out of"
}
