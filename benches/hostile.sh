#!/usr/bin/env bash
# Webhook latency and memory of the service while 64 connections run the most expensive allowed queries and exports over
# 100,000 publications and 100,000 notifications. Needs a release build and Python 3.
#   cargo build --release && benches/hostile.sh
# PUBLICATIONS, CONNECTIONS and SECONDS_EACH set the sizes; ACERVO_BIN names another binary.
set -euo pipefail
acervo=$(realpath "${ACERVO_BIN:-${CARGO_TARGET_DIR:-target}/release/acervo}")
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

port=${PORT:-$(free_port)}
cd "$dir"
export ACERVO_DATA_DIR=$dir/data ACERVO_LISTEN=127.0.0.1:$port ACERVO_RECEIVER_TOKEN=bench ACERVO_API_TOKEN=bench ACERVO_LOG=warn
until_ready() { until curl -sf "http://127.0.0.1:$port/readyz" > /dev/null; do sleep 0.1; done; }
# The first start creates the tables, the second serves the rows.
"$acervo" serve 2>> serve.log & serve=$!
until_ready
kill "$serve"; wait "$serve" || true
python3 "$here/hostile.py" fill "$dir/data/acervo.db" "${PUBLICATIONS:-100000}"
"$acervo" reindex > /dev/null
"$acervo" serve 2>> serve.log & serve=$!
until_ready
python3 "$here/hostile.py" run "$port" "$serve" "${CONNECTIONS:-64}" "${SECONDS_EACH:-30}"
grep -c . serve.log | sed 's/^/lines in the log: /'
