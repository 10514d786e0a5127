# Shared by the scripts here: a node, its figures, and the CPU time of a process.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=${STREAM_MANAGER:-$root/target/release/stream-manager}
rtmp=${RTMP:-21935} http=${HTTP:-21936}
work=$(mktemp -d)
started=()

# Whatever was started here ends here.
cleanup() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die() { echo "$*" >&2; exit 1; }

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || die "$tool is missing: make deps installs it"
    done
}

# Starts a command in the background, with its output in $work/NAME.log; its id is in $last.
background() {
    local name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    last=$!
    started+=("$last")
}

# get PATH [HEADER]: the node's answer.
get() {
    exec 9<>"/dev/tcp/127.0.0.1/$http" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: node\r\nConnection: close\r\n%s\r\n' "$1" "${2:+$2$'\r\n'}" >&9
    cat <&9
    exec 9>&-
}

# sum_of FILE NAME: the sum of a metric's samples on a saved page.
sum_of() {
    awk -v name="$2" 'index($1, name) == 1 && substr($1, length(name) + 1) ~ /^({|$)/ { n += $NF }
        END { printf "%.6f", n }' "$1"
}

# lab_config MERGE [SPIN_US]: a laboratory: anybody may publish, no channel, everything of the node on
# core 0, with the driver that DRIVER names, if it does.
lab_config() {
    local driver=
    if [[ -n ${DRIVER:-} ]]; then driver="driver = \"$DRIVER\""; fi
    cat <<TOML
[node]
log = "warn"
[rtmp]
bind = "127.0.0.1"
publish = "open"
connections_max = 100000
[limits]
connections_per_ip_max = 0
idle_timeout = 86400
[cores]
$driver
control = [0]
net = [0]
net_spin_us = ${2:-0}
compose = [0]
encode = [0]
[delivery]
merge = $1
TOML
}

# start_node ARGUMENTS: starts a node on ports of its own, and waits until it is ready; its id is in
# $node.
start_node() {
    launch_node "$@"
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if get /readyz 2>/dev/null | grep -q '^HTTP/1.1 200'; then return; fi
        kill -0 "$node" 2>/dev/null || { cat "$work/node.log"; die "the node has ended"; }
        sleep 0.1
    done
    cat "$work/node.log"
    die "the node does not get ready"
}

launch_node() {
    [[ -x $binary ]] || die "$binary is not there: cargo build --release"
    background node "$binary" run --data-dir "$work/data" --bind 127.0.0.1 \
        --rtmp-port "$rtmp" --http-port "$http" "$@"
    node=$last
}

stop_node() {
    kill "$node"
    wait "$node" 2>/dev/null || true
}

# stop PID: ends what was started here, if it has not ended, and waits for it.
stop() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# cpu_seconds PID: CPU time of all its threads, also those that have ended, to a hundredth.
cpu_seconds() {
    sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) / hz }'
}

# field FILE NAME: a number of the load tools' JSON, the first of that name.
field() {
    awk -F'[:,]' -v name="\"$2\"" '$1 ~ name { print $2 + 0; exit }' "$1"
}

# remember FIGURE: appends the median of the values at its input, the least and the largest, to the
# history of figures, with what they were measured on, for perf/chart.sh to draw.
remember() {
    local file=${HISTORY-$root/perf/history/figures.ndjson} commit machine
    if [[ -z $file ]]; then cat >/dev/null; return; fi
    commit=$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    git -C "$root" diff --quiet HEAD -- src Cargo.lock 2>/dev/null || commit+=+
    machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    sort -g | awk -v figure="$1" -v commit="$commit" -v machine="${machine:-unknown}, $(nproc) cores" \
        -v date="$(date -u +%Y-%m-%dT%H:%M:%SZ)" '
        { v[NR] = $1 }
        END {
            if (!NR) exit
            gsub(/["\\]/, "", machine)
            printf "{\"date\":\"%s\",\"commit\":\"%s\",\"machine\":\"%s\",\"figure\":\"%s\"", \
                date, commit, machine, figure
            printf ",\"median\":%s,\"min\":%s,\"max\":%s,\"rounds\":%d}\n", \
                v[int((NR + 1) / 2)], v[1], v[NR], NR
        }' >>"$file"
}

# certificate DIR: makes a certificate for this machine, DIR/cert.pem and DIR/key.pem.
certificate() {
    need openssl
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null || die "openssl makes no certificate"
}

# tls_config PORT: what the laboratory needs to serve by TLS at that port; its certificate is made.
tls_config() {
    certificate "$work"
    cat <<TOML
[tls]
certificate = "$work/cert.pem"
key = "$work/key.pem"
rtmps_port = $1
TOML
}

# ingest_us PORT PID PUBLISHERS SECONDS: CPU time of PID per Mbit of so many publishers of 1 Mb/s,
# microseconds, once the logs are full (after ten seconds); it is in $ingested.
ingest_us() {
    background load "$binary" load publish --url "rtmp://127.0.0.1:$1/live/in" --count "$3" \
        --bitrate 872000 --seconds $(($4 + 16)) --cores 1
    local load=$last before after
    sleep 14
    before=$(cpu_seconds "$2")
    sleep "$4"
    after=$(cpu_seconds "$2")
    kill -0 "$load" || die "the publishers have ended"
    stop "$load"
    ingested=$(calc %.1f "($after - $before) * 1e6 / ($4 * $3)")
}

# start_nginx PORT [CONNECTIONS]: a server that takes every stream at rtmp://127.0.0.1:PORT/live/.
start_nginx() {
    local nginx module
    nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || die "nginx is missing: make deps installs it"
    module=$(find /usr/lib /usr/lib64 -name ngx_rtmp_module.so 2>/dev/null | head -n 1)
    [[ -n $module ]] || die "nginx-rtmp is missing: make deps installs it"
    mkdir -p "$work/nginx"
    cat >"$work/nginx/nginx.conf" <<CONF
load_module $module;
daemon off; master_process off;
pid $work/nginx/pid; error_log $work/nginx/error.log error;
events { worker_connections ${2:-1024}; }
rtmp { access_log off;
  server { listen 127.0.0.1:$1; chunk_size 60000; application live { live on; } } }
CONF
    background nginx "$nginx" -p "$work/nginx" -c "$work/nginx/nginx.conf"
}

# start_peer PORT [CONNECTIONS]: nginx-rtmp on core 0; its id is in $last.
start_peer() {
    start_nginx "$@"
    taskset -pc 0 "$last" >/dev/null
    sleep 1
}

calc() { awk "BEGIN { printf \"$1\", $2 }"; }
