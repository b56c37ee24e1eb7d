#!/bin/sh
# Writes the secrets of compose-replicas.yaml into secrets/ of this folder, each with fresh random values. What exists stays.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

[ -e receiver.token ] || random > receiver.token
[ -e api.token ] || random > api.token
if ! [ -e database.password ]; then
    random > database.password
    printf 'postgres://acervo:%s@postgres/acervo' "$(cat database.password)" > database.url
fi
if ! [ -e s3.env ]; then
    key=$(random) secret=$(random)
    printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$key" "$secret" > s3.env
    printf '{"identities": [{"name": "acervo", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": %s}]}\n' \
        "$key" "$secret" '["Read:acervo", "Write:acervo", "List:acervo"]' > s3.json
fi

# The containers read them as users of their own.
if [ "$(id -u)" = 0 ]; then
    chown 10001 receiver.token api.token database.url
    chown 999 database.password
fi
