#!/bin/sh
# A second scene: made, looked at before it is on air, taken, and back.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

BACK=$(api "$S" | sed -n 's/.*"program":{"scene":"\([^"]*\)".*/\1/p')
api --json '{"id": "break", "layers": [
  {"id": "ground", "content": {"type": "color", "color": "#101828"}},
  {"id": "words", "zIndex": 1, "transform": {"positionX": 960, "positionY": 500, "anchorX": 0.5},
    "content": {"type": "text", "text": "Back in five minutes", "size": 96, "weight": 700}}]}' "$S/scenes"
api -X PUT --json '{"scene": "break"}' "$S/preview"
curl --silent --show-error --fail --output "${PREVIEW:-/dev/null}" ${TOKEN:+--oauth2-bearer "$TOKEN"} "$S/preview.png"
# Without a scene it takes the one in preview, and the two change places.
api --json '{"transition": {"type": "wipe", "durationMs": 800}}' "$S/take"
sleep "${HOLD:-4}"
api --json "{\"scene\": \"${BACK:-main}\", \"transition\": {\"type\": \"fade\", \"durationMs\": 800}}" "$S/take"
sleep 2 # until the transition is over and nothing shows it any more
api -X PUT --json '{"scene": null}' "$S/preview"
api -X DELETE "$S/scenes/break"
