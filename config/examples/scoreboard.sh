#!/bin/sh
# A scoreboard whose score changes on the very frame that is answered.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

api --json '{"id": "score", "zIndex": 50, "transform": {"positionX": 80, "positionY": 64, "width": 1000, "height": 88},
  "content": {"type": "scoreboard", "home": {"name": "Harbour Town", "shortName": "HAR", "color": "#e5383b", "score": 0},
    "away": {"name": "Rovers", "shortName": "ROV", "color": "#3a86ff", "score": 0}, "clock": "00:00", "period": "1st half"}}' "$S/layers"
# A merge patch: what it does not name stays. The answer has appliedFrame and ptsMs.
api -X PATCH --json '{"content": {"home": {"score": 1}, "clock": "12:07"}}' "$S/layers/score"
sleep "${HOLD:-4}"
api -X DELETE "$S/layers/score"
