#!/usr/bin/env bash
# Memory of the service: idle, and the peak while a 1 GiB file is archived. Needs a release build, curl and 3 GB of disk.
# The bounds hold without any variable that an operator would have to set.
#   cargo build --release && benches/memory.sh
set -euo pipefail
acervo=${ACERVO_BIN:-${CARGO_TARGET_DIR:-target}/release/acervo}
size_mib=${SIZE_MIB:-1024}
unset "${!MIMALLOC_@}"
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; }

mkdir "$dir/files"
# Half random, half text, so that neither encoding is the easy case.
head -c "$((size_mib / 2))M" /dev/urandom > "$dir/files/large.bin"
yes "  123 FURNAS        8817.26    453.25  25000.00" 2>/dev/null | head -c "$((size_mib / 2))M" >> "$dir/files/large.bin" || true
want=$(sha256sum < "$dir/files/large.bin" | cut -d' ' -f1)

port=$(free_port) portal=$(free_port)
export ACERVO_DATA_DIR=$dir/data ACERVO_LISTEN=127.0.0.1:$port ACERVO_FETCH_ALLOWED_HOSTS=127.0.0.1 ACERVO_FETCH_ALLOW_PRIVATE=true
"$acervo" serve 2> "$dir/serve.log" & serve=$!
"$acervo" simulate --at "127.0.0.1:$portal" --webhook "http://127.0.0.1:$port/webhook" --files "$dir/files" > /dev/null &
until curl -sf "http://127.0.0.1:$port/readyz" > /dev/null && curl -sf "http://127.0.0.1:$portal/detalhes" > /dev/null; do sleep 0.1; done
sleep 5
idle=$(kib $serve VmRSS)

"$acervo" simulate --at "127.0.0.1:$portal" enviar-tudo > /dev/null
ask() { curl -s "http://127.0.0.1:$port/graphql" -H 'content-type: application/json' -d '{"query":"{ revisions { nodes { sha256 size storedSize } } }"}'; }
until ask | grep -q "$want"; do sleep 0.5; done
peak=$(kib $serve VmHWM)

printf 'idle                              %4d MiB\n' $((idle / 1024))
printf 'peak, archiving a %d MiB file   %4d MiB\n' "$size_mib" $((peak / 1024))
ask; echo
[ $((idle / 1024)) -lt 65 ] && [ $((peak / 1024)) -lt 120 ]
