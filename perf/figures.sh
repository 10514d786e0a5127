#!/usr/bin/env bash
# The figures that the data plane has to reach, each next to its peers in the same run:
#
#   perf/figures.sh [ROW...]    measures these rows (all if none is named) and prints their tables
#   perf/figures.sh show        prints the tables of what was measured so far
#
#   crowd     1000 viewers                  in each mode: CPU, latency; next to the bare loop, nginx-rtmp
#   hundred   100 viewers                   the same
#   one       one publisher and one viewer  the same without merging; CPU and latency
#   ingest    300 publishers of 1 Mb/s      CPU; next to nginx-rtmp
#   connect   connect, play and leave       how many a second, CPU of each; next to nginx-rtmp
#   idle      10 000 idle connections       CPU of the core, memory of each
#   tls       viewers by TLS and without    CPU; pictures of 12.5 KB
#
# The node runs on core 0 with each driver in turn, and so do its peers; the load is on core 1. A
# round measures everybody once; what is compared ran in the same round. Rounds are kept in RESULTS,
# and a row goes on behind those it has, so that it can be interrupted; to begin anew, delete its
# file there. The settings:
#
#   DRIVERS   "glommio epoll"; the node as it is by default, where it knows no `[cores] driver`
#   MODES     "off frame 100": values of `[delivery] merge`
#   ROUNDS    how many, instead of each row's own number
#   SPAN      seconds that each measurement takes, instead of each row's own
#   RESULTS   folder for the rounds: target/figures
#   BASE      another build of this program, to be measured in turn as `base`
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=perf/lib.sh
. ./lib.sh

rows=(crowd hundred one ingest connect idle tls)
results=${RESULTS:-$root/target/figures}
peer=${PEER:-21938}
secure=${RTMPS:-21943}
read -ra modes <<<"${MODES:-off frame 100}"
ours=$binary
url=rtmp://127.0.0.1:$rtmp/live/load
ulimit -n "$(ulimit -H -n)"
mkdir -p "$results"

# knows_drivers: whether the program takes `[cores] driver`.
knows_drivers() {
    DRIVER=epoll lab_config '"off"' >"$work/driver.toml"
    "$ours" config check "$work/driver.toml" >/dev/null 2>&1
}

if [[ -n ${DRIVERS:-} ]]; then
    read -ra subjects <<<"$DRIVERS"
elif knows_drivers; then
    subjects=(glommio epoll)
else
    subjects=(node)
fi
if [[ -n ${BASE:-} ]]; then subjects+=(base); fi

# node_on SUBJECT MODE [MORE]: starts the node with this driver (`node` and `base` have none).
node_on() {
    local merge=$2 DRIVER=
    binary=$ours
    case $1 in
        node) ;;
        base) binary=$BASE ;;
        *) DRIVER=$1 ;;
    esac
    if [[ ! $merge =~ ^[0-9]+$ ]]; then merge="\"$merge\""; fi
    { lab_config "$merge"; echo "${3:-}"; } >"$work/lab.toml"
    start_node --config "$work/lab.toml"
    binary=$ours
}

# put MODE SUBJECT FIGURE VALUE: notes a figure of this round.
put() { echo "$round $*" | tee -a "$work/round"; }

# load_of PORT ARGUMENTS: the load tool's report in $work/figures.
load_of() { "$binary" load "$@" --cores 1 --json >"$work/figures" || die "load $1 failed"; }

# viewers MODE SUBJECT PORT PID COUNT: publishes, plays once the log is full, so that memory is not
# touched for the first time (after ten seconds), and notes CPU and latency.
viewers() {
    local to=rtmp://127.0.0.1:$3/live/load publisher
    background publisher "$binary" load publish --url "$to" --seconds 3600 --cores 1
    publisher=$last
    sleep 12
    load_of play --url "$to" --count "$5" --seconds "$span" --pid "$4"
    stop "$publisher"
    put "$1" "$2" cpu_us_per_mbit "$(field "$work/figures" cpu_per_mbit_us)"
    put "$1" "$2" p50_us "$(field "$work/figures" p50)"
    put "$1" "$2" p99_us "$(field "$work/figures" p99)"
    put "$1" "$2" at_full_rate "$(field "$work/figures" at_full_rate)"
    put "$1" "$2" load_cpu_percent "$(field "$work/figures" load_cpu_percent)"
}

# bare MODE COUNT: the bare loop of sendmsg.
bare() {
    "$binary" bench limit --count "$2" --seconds "$span" --merge "$1" --json >"$work/figures"
    put "$1" bare cpu_us_per_mbit "$(field "$work/figures" cpu_per_mbit_us)"
    put "$1" bare p50_us "$(field "$work/figures" p50)"
    put "$1" bare p99_us "$(field "$work/figures" p99)"
}

# fan_out COUNT MODE...
fan_out() {
    local count=$1 mode subject pid
    shift
    for mode in "$@"; do
        bare "$mode" "$count"
        for subject in "${subjects[@]}"; do
            node_on "$subject" "$mode"
            viewers "$mode" "$subject" "$rtmp" "$node" "$count"
            stop_node
        done
    done
    start_peer "$peer" 4096
    pid=$last
    viewers any nginx "$peer" "$pid" "$count"
    stop "$pid"
}

round_of_crowd() { fan_out 1000 "${modes[@]}"; }
round_of_hundred() { fan_out 100 "${modes[@]}"; }
round_of_one() { fan_out 1 off; }

round_of_ingest() {
    local subject pid
    for subject in "${subjects[@]}"; do
        node_on "$subject" frame
        ingest_us "$rtmp" "$node" 300 "$span"
        put any "$subject" cpu_us_per_mbit "$ingested"
        stop_node
    done
    start_peer "$peer" 4096
    pid=$last
    ingest_us "$peer" "$pid" 300 "$span"
    put any nginx cpu_us_per_mbit "$ingested"
    stop "$pid"
}

# connects SUBJECT PORT PID
connects() {
    local to=rtmp://127.0.0.1:$2/live/load publisher
    background publisher "$binary" load publish --url "$to" --seconds 3600 --cores 1
    publisher=$last
    sleep 12
    load_of connect --url "$to" --parallel 50 --seconds "$span" --pid "$3"
    stop "$publisher"
    put any "$1" per_second "$(field "$work/figures" rate_per_second)"
    put any "$1" cpu_us "$(field "$work/figures" cpu_per_connection_us)"
}

round_of_connect() {
    local subject pid
    for subject in "${subjects[@]}"; do
        node_on "$subject" off
        connects "$subject" "$rtmp" "$node"
        stop_node
    done
    start_peer "$peer" 4096
    pid=$last
    connects nginx "$peer" "$pid"
    stop "$pid"
}

round_of_idle() {
    local subject
    for subject in "${subjects[@]}"; do
        node_on "$subject" off
        load_of idle --url "rtmp://127.0.0.1:$rtmp/live" --count 10000 --seconds "$span" \
            --pid "$node"
        put any "$subject" cpu_percent "$(field "$work/figures" server_cpu_percent)"
        put any "$subject" kib_each "$(field "$work/figures" memory_per_connection_kib)"
        put any "$subject" ended_early "$(field "$work/figures" ended_early)"
        stop_node
    done
}

round_of_tls() {
    local subject publisher scheme port tls
    tls=$(tls_config "$secure")
    for subject in "${subjects[@]}"; do
        node_on "$subject" frame "$tls"
        background publisher "$binary" load publish --url "$url" --bitrate 3250000 \
            --seconds 3600 --cores 1
        publisher=$last
        sleep 12
        for scheme in rtmp rtmps; do
            port=$rtmp
            if [[ $scheme == rtmps ]]; then port=$secure; fi
            load_of play --url "$scheme://127.0.0.1:$port/live/load" --insecure --count 500 \
                --seconds "$span" --pid "$node"
            put "$scheme" "$subject" cpu_us_per_mbit "$(field "$work/figures" cpu_per_mbit_us)"
            put "$scheme" "$subject" at_full_rate "$(field "$work/figures" at_full_rate)"
            put "$scheme" "$subject" load_cpu_percent "$(field "$work/figures" load_cpu_percent)"
        done
        stop "$publisher"
        stop_node
    done
}

# measure ROW ROUNDS SECONDS: the rounds that are missing.
measure() {
    local file=$results/$1.txt done=0
    span=${SPAN:-$3}
    if [[ -s $file ]]; then done=$(cut -d' ' -f1 "$file" | sort -un | wc -l); fi
    for ((round = done + 1; round <= ${ROUNDS:-$2}; round++)); do
        echo "== $1, round $round of ${ROUNDS:-$2}, $span s"
        : >"$work/round"
        "round_of_$1"
        cat "$work/round" >>"$file" # a whole round, or nothing of it
    done
}

# table ROW: medians with all rounds, and the ratios of what ran in the same round.
table() {
    local file=$results/$1.txt
    [[ -s $file ]] || return 0
    echo "== $1"
    awk -v row="$1" -f figures.awk "$file"
}

if [[ ${1:-} == show ]]; then
    for row in "${rows[@]}"; do table "$row"; done
    exit
fi
if (($# > 0)); then rows=("$@"); fi
for row in "${rows[@]}"; do
    declare -F "round_of_$row" >/dev/null || die "there is no row $row"
done
./env.sh
echo "subjects: ${subjects[*]}"
for row in "${rows[@]}"; do
    case $row in
        one) measure one 9 10 ;;
        connect | idle) measure "$row" 3 10 ;;
        ingest) measure ingest 3 10 ;;
        *) measure "$row" 5 8 ;;
    esac
done
for row in "${rows[@]}"; do table "$row"; done
