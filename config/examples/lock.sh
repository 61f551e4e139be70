#!/bin/sh
# A layer that nobody else changes for a minute.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM

api --json '{"id": "score", "content": {"type": "text", "text": "0 : 0", "size": 96}}' "$S/layers"
api -X PUT --json '{"seconds": 60}' "$S/layers/score/lock"
# Whoever has the lock goes on; another token is answered 423 `locked`, with the owner and until when.
api -X PATCH --json '{"content": {"text": "1 : 0"}}' "$S/layers/score"
sleep "${HOLD:-2}"
api -X DELETE "$S/layers/score/lock"   # it would end by itself; an admin may break it
api -X DELETE "$S/layers/score"
