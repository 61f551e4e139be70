#!/usr/bin/env bash
# `make run`: builds the program, starts an RTMP server on loopback, puts the show on air and says where to look.
#
#     RTMP_URL=rtmp://…  publish there, and start no server
#     arguments          go to `stream-manager serve`
#
# Everything it starts it also stops, by process id, on Ctrl-C, on SIGTERM and when the program ends by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=config/run/lib.sh
. config/run/lib.sh

READY_WITHIN_S=60 # a cold software Vulkan compiles its pipelines on first use

directory="" server="" program="" stopped_by_hand=false

stop() { # PID: asks, waits 15 s, insists
    local tries
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || return 0
    for ((tries = 0; tries < 150; tries++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

finish() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    # The publisher first, so that it can take its leave of a server that is still there.
    stop "$program"
    stop "$server"
    [ -z "$directory" ] || rm -rf "$directory"
    $stopped_by_hand && { say "Stopped."; status=0; }
    exit "$status"
}
trap finish EXIT
trap 'stopped_by_hand=true; exit' INT TERM HUP

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() { # WANTED WHAT: the first free port from WANTED on
    local port=$1
    while port_is_taken "$port"; do
        ((++port))
    done
    [ "$port" -eq "$1" ] || say "Port $1 is taken; $2 is on $port." >&2
    echo "$port"
}

# Both processes get a session of their own, which keeps the terminal's Ctrl-C from them: they are to stop one
# after the other, and each by one signal, not two.
start_server() {
    local rtmp_port hls_port modules user=""
    modules=$(nginx -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')
    [ -e "${modules:=/usr/lib/nginx/modules}/ngx_rtmp_module.so" ] ||
        die "nginx has no RTMP module in $modules; set RTMP_URL to publish elsewhere"
    rtmp_port=$(free_port 1935 RTMP)
    hls_port=$(free_port 8088 HLS)
    # Started by root, the worker would be nobody and could not write into our directory.
    [ "$(id -u)" -ne 0 ] || user="user root;"
    mkdir "$directory/hls" "$directory/temp"
    sed -e "s|@DIR@|$directory|g" -e "s|@MODULES@|$modules|g" -e "s|@USER@|$user|g" \
        -e "s|@RTMP_PORT@|$rtmp_port|g" -e "s|@HLS_PORT@|$hls_port|g" config/run/nginx.conf >"$directory/nginx.conf"
    setsid nginx -p "$directory" -c "$directory/nginx.conf" -e "$directory/error.log" &
    server=$!
    RTMP_URL="rtmp://127.0.0.1:$rtmp_port/live/main"
    HLS_URL="http://127.0.0.1:$hls_port/hls/main.m3u8"
    for _ in {1..50}; do
        ! port_is_taken "$rtmp_port" || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$directory/error.log" >&2
    die "the RTMP server did not start"
}

wait_until_ready() { # URL
    local deadline=$((SECONDS + READY_WITHIN_S))
    until curl --silent --fail --output /dev/null --max-time 2 "$1/readyz"; do
        kill -0 "$program" 2>/dev/null || { wait "$program" || exit $?; die "the program ended before it was ready"; }
        [ $SECONDS -lt $deadline ] || die "not ready after $READY_WITHIN_S s: see $1/readyz"
        sleep 0.2
    done
}

needed=("${packages_build[@]}" "${packages_runtime[@]}")
[ -n "${RTMP_URL:-}" ] || needed+=("${packages_stream[@]}")
need_packages "${needed[@]}"
need_cargo

# Not everybody wants a program under the GPL: x264 is built in where it is there already, and not installed.
features=()
if has_x264; then
    say "Building, with the machine's x264"
    features=(--features x264)
else
    say "Building"
fi
cargo build --release --locked "${features[@]}"

directory=$(mktemp -d "${TMPDIR:-/tmp}/stream-manager.XXXXXX")
chmod 700 "$directory"
HLS_URL=""
[ -n "${RTMP_URL:-}" ] || start_server

port=$(free_port 8080 "the API")
setsid target/release/stream-manager serve --listen "127.0.0.1:$port" --data-dir "$directory/data" --output "$RTMP_URL" "$@" </dev/null &
program=$!
base="http://127.0.0.1:$port"
wait_until_ready "$base"

say "On air"
printf '  %-10s %s\n' \
    dashboard "$base/" \
    API "$base/api/v1/streams" \
    picture "$base/api/v1/streams/main/program.png" \
    metrics "$base/metrics"
# The last part of somebody else's URL is as a rule a secret key.
if [ -n "$HLS_URL" ]; then
    printf '  %-10s %s\n' RTMP "$RTMP_URL" HLS "$HLS_URL"
else
    printf '  %-10s %s\n' RTMP "${RTMP_URL%/*}/…"
fi
echo "  Ctrl-C stops it."

wait "$program" || exit $?
