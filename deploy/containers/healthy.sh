#!/usr/bin/env bash
# Whether a program in this container answers: `healthy VARIABLE DEFAULT PATH` asks for PATH where the environment VARIABLE
# says that it listens, else at DEFAULT. Exits with 0 when the answer is 200, else with 1. It is bash alone, so that the
# images need no HTTP client.
set -uo pipefail

if [ "$#" -ne 3 ]; then
    echo "usage: healthy VARIABLE DEFAULT PATH, as in: healthy ATELIER_BOARD_LISTEN 127.0.0.1:7880 /healthz" >&2
    exit 1
fi
address=${!1:-$2} path=$3

port=${address##*:} host=${address%:*}
# Who listens on all addresses answers on loopback too.
case $host in
    0.0.0.0) host=127.0.0.1 ;;
    '[::]') host=::1 ;;
    '['*']') host=${host#[} host=${host%]} ;;
esac

if ! exec 3<>"/dev/tcp/$host/$port"; then
    echo "healthy: nobody listens on $address" >&2
    exit 1
fi
printf 'GET %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n' "$path" "$port" >&3
# A program that hangs accepts the connection and says nothing.
if ! IFS=' ' read -r -t 2 _version status _reason <&3; then
    echo "healthy: $address does not answer" >&2
    exit 1
fi
# A status line without a reason ends right after the number.
status=${status%$'\r'}
if [ "$status" != 200 ]; then
    echo "healthy: $address answers $path with $status" >&2
    exit 1
fi
