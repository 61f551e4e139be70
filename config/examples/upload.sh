#!/bin/sh
# upload.sh FILE: a picture from this machine to the daemon, shown in a corner, taken away again.
set -eu

URL=${URL:-http://127.0.0.1:8080}   # where the daemon listens
STREAM=${STREAM:-main}              # the stream that is on air
# TOKEN: where the daemon asks for one
api() { curl --silent --show-error --fail-with-body ${TOKEN:+--oauth2-bearer "$TOKEN"} "$@"; echo; }
S=$URL/api/v1/streams/$STREAM
FILE=${1:?upload.sh FILE}

ID=$(api --form "file=@$FILE" "$URL/api/v1/assets" | sed -n 's/.*"id":"\(sha256:[0-9a-f]*\)".*/\1/p')
echo "$FILE is $ID"
api --json "{\"id\": \"uploaded\", \"zIndex\": 50, \"transform\": {\"positionX\": 1640, \"positionY\": 60, \"width\": 220, \"height\": 220},
  \"content\": {\"type\": \"image\", \"asset\": \"$ID\", \"fit\": \"contain\"}}" "$S/layers"
sleep "${HOLD:-4}"
# While a layer uses it, deleting it is refused.
api -X DELETE "$S/layers/uploaded"
api -X DELETE "$URL/api/v1/assets/$ID"
