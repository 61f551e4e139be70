#!/bin/sh
# outputs.sh ADDRESS KEY: one more destination, watched until it is on air, and taken away.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM
ADDRESS=${1:?outputs.sh rtmp://host/app KEY}
KEY=${2:?outputs.sh rtmp://host/app KEY}

api --json "{\"id\": \"extra\", \"url\": \"$ADDRESS\", \"key\": \"$KEY\"}" "$S/outputs"
state() { api "$S/status" | tr '{' '\n' | sed -n '/"id":"extra"/s/.*"state":"\([a-zA-Z]*\)".*/\1/p'; }
for _ in 1 2 3 4 5 6 7 8 9 10; do
    echo "extra is $(state)"
    [ "$(state)" != publishing ] || break
    sleep "${HOLD:-1}"
done
api -X DELETE "$S/outputs/extra"
