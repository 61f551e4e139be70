#!/bin/sh
# A lower third: put there, played, given other texts, stopped, taken away.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

api --json '{"id": "guest", "zIndex": 50, "transform": {"positionX": 96, "positionY": 836, "height": 152},
  "content": {"type": "lowerThird", "title": "Ada Lovelace", "subtitle": "Mathematician", "step": "out"}}' "$S/layers"
api -X POST "$S/layers/guest/actions/play"
sleep "${HOLD:-4}"
# What it says changes while it stands.
api --json '{"title": "Charles Babbage", "subtitle": "Engineer"}' "$S/layers/guest/actions/continue"
sleep "${HOLD:-4}"
api -X POST "$S/layers/guest/actions/stop"
sleep "${HOLD:-2}"
api -X DELETE "$S/layers/guest"
