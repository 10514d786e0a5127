#!/usr/bin/env bash
# Node-Media-Server, whose API is held against the node's own in the tests. It stays under target/.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VERSION=2.7.4
readonly HOME_OF_IT=$PWD/target/node-media-server

[[ $(cat "$HOME_OF_IT/version" 2>/dev/null) == "$VERSION" ]] && exit
rm -rf "$HOME_OF_IT"
mkdir -p "$HOME_OF_IT"
npm --prefix "$HOME_OF_IT" install --ignore-scripts --no-audit --no-fund --loglevel=error \
    "node-media-server@$VERSION"
echo "$VERSION" >"$HOME_OF_IT/version"
