# Shared by the scripts about stream keys: a Redis of their own, keys in it, nodes on it.
# shellcheck shell=bash disable=SC2154,SC2034

redis_port=${REDIS:-21939}
redis_url=redis://127.0.0.1:$redis_port

# Starts an empty Redis on core 1.
start_redis() {
    need redis-server taskset
    if (exec 9<>"/dev/tcp/127.0.0.1/$redis_port") 2>/dev/null; then
        die "port $redis_port is taken: name another one with REDIS"
    fi
    background redis taskset -c 1 redis-server --port "$redis_port" --bind 127.0.0.1 \
        --save '' --appendonly no --dir "$work"
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        if (exec 9<>"/dev/tcp/127.0.0.1/$redis_port") 2>/dev/null; then return; fi
        sleep 0.05
    done
    cat "$work/redis.log"
    die "Redis does not start"
}

# new_key STREAM: makes a key in Redis and says it.
new_key() {
    "$binary" keys create --redis "$redis_url" --stream "$1" --json | json_text secret
}

# json_text NAME: the first text of this name in a document.
json_text() { sed -n "s/^ *\"$1\": \"\\([^\"]*\\)\",\\{0,1\\}\$/\\1/p" | head -n 1; }

# redis_node CORE RTMP_PORT HTTP_PORT: starts a node with its keys in Redis; its id is in $node.
redis_node() {
    local rtmp=$2 http=$3
    cat >"$work/redis-$rtmp.toml" <<TOML
[node]
log = "warn"
data_dir = "$work/data-$rtmp"
[rtmp]
bind = "127.0.0.1"
connections_max = 10000
grace = 1
[keys]
store = "redis"
redis_url = "$redis_url"
[limits]
connections_per_ip_max = 0
[cores]
control = [$1]
net = [$1]
compose = [$1]
encode = [$1]
TOML
    background "node-$rtmp" "$binary" run --config "$work/redis-$rtmp.toml" \
        --rtmp-port "$rtmp" --http-port "$http"
    node=$last
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if get /readyz 2>/dev/null | grep -q '^HTTP/1.1 200'; then return; fi
        kill -0 "$node" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/node-$rtmp.log"
    die "the node does not get ready"
}
