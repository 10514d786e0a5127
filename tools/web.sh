#!/usr/bin/env bash
# The dashboard in web/. Its built files, web/dist, are kept in the repository, so that building the
# program takes no Node.js.
#
#   tools/web.sh build    builds web/dist from the sources
#   tools/web.sh check    lints, and holds web/dist against a fresh build
#   tools/web.sh test     runs the dashboard in headless Chromium, with a mock and with the program,
#                         and obs-websocket-js against the program
#
# check and test are left out, with a word about it, where there is no Node.js, npm or Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MIN=18
readonly FRESH=target/web-dist
# A folder of packages is as good as its lock file.
readonly STAMP=web/node_modules/.lock-sum

main() {
    case ${1:-} in
        build)
            has_node || die "Node.js $NODE_MIN or newer and npm are needed:" \
                "apt-get install nodejs npm"
            packages
            in_web build
            ;;
        check)
            has_node || skip "there is no Node.js $NODE_MIN or newer with npm"
            packages
            in_web lint
            in_web build -- --outDir "../$FRESH" --emptyOutDir
            diff -rq web/dist "$FRESH" >&2 || die "web/dist is not what its sources give:" \
                "run tools/web.sh build and commit the result."
            ;;
        test)
            has_node || skip "there is no Node.js $NODE_MIN or newer with npm"
            command -v chromium >/dev/null || skip "there is no chromium"
            packages
            node web/test/run.mjs --mock
            [[ -x target/release/stream-manager ]] || cargo build --release --quiet
            echo "the same with the program:"
            node web/test/run.mjs --program target/release/stream-manager --out target/dashboard-real
            node web/test/obs-websocket.mjs target/release/stream-manager
            ;;
        *) die "usage: tools/web.sh build|check|test" ;;
    esac
}

has_node() {
    local version
    command -v npm >/dev/null || return 1
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    ((${version%%.*} >= NODE_MIN))
}

# The packages of the lock file, and nothing that they would run when they are installed.
packages() {
    local sum
    sum=$(sha256sum web/package-lock.json)
    [[ -f $STAMP && $(<"$STAMP") == "$sum" ]] && return
    npm --prefix web ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    printf '%s' "$sum" >"$STAMP"
}

in_web() { npm --prefix web run --silent "$@" >&2; }

skip() { say "left out: $*"; exit 0; }
say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

main "$@"
