#!/bin/sh
# Changes that come at their moment: one is seen on its very frame, one is cancelled before it comes.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

api --json '{"id": "bar", "transform": {"width": 1920, "height": 40}, "content": {"type": "color", "color": "#e74c3c"}}' "$S/layers"
GREEN='{"op": "patchLayer", "id": "bar", "patch": {"content": {"color": "#2ecc71"}}}'
NOW=$(date +%s)
# A frame of the run ({"frame": 9000}) or the end of the transition that is under way ("transitionEnd") will do, too.
api --json "{\"ops\": [$GREEN], \"at\": {\"utc\": $((NOW + 2))000}}" "$S/transactions"
LATER=$(api --json "{\"ops\": [$GREEN], \"at\": {\"utc\": $((NOW + 3600))000}}" "$S/transactions" | sed -n 's/.*"id":"\([0-9]*\)".*/\1/p')
api -X DELETE "$S/schedule/$LATER"
sleep 3
# "state":"done" with the frame, and 0 "lateFrames".
api "$S/schedule"
sleep "${HOLD:-2}"
api -X DELETE "$S/layers/bar"
