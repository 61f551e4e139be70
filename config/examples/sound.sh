#!/bin/sh
# Sound: a bed that fades in and out.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

api --json '{"id": "bed", "type": "tone", "frequencyHz": 220, "gainDb": -18, "fade": {"durationMs": 1000}}' "$S/audio/sources"
sleep "${HOLD:-3}"
api -X PATCH --json '{"gainDb": -100, "fade": {"durationMs": 1500, "easing": "easeInOutSine"}}' "$S/audio/sources/bed"
sleep "${HOLD:-2}"
api -X DELETE "$S/audio/sources/bed"
