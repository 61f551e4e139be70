#!/bin/sh
# Renders the default show's pictures from their sources in this directory.
#
#     ./render.sh            host.png, panel.jpg, logo.png      (chromium, python3 with pillow)
#     ./render.sh artwork    artwork.jpg too                    (blender 3.4 or later, numpy, scipy, opencv; some minutes)
#
# The pictures themselves are in the repository: this is needed only after a change to a source.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
show=$(dirname "$here")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A window somewhat larger than the picture, cropped below: Chromium refuses very small ones.
browse() { # NAME WIDTH HEIGHT
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --allow-file-access-from-files --hide-scrollbars \
        --default-background-color=00000000 --user-data-dir="$tmp/profile" --window-size="$2,$3" \
        --virtual-time-budget=3000 --screenshot="$tmp/$1.png" "file://$here/$1.svg" 2>"$tmp/chromium.log"
}
browse host 1152 864
browse panel 1152 864
browse logo 640 480

python3 - "$tmp" "$show" <<'PY'
import sys
from PIL import Image
tmp, show = sys.argv[1:]
open_ = lambda name: Image.open(f"{tmp}/{name}.png").convert("RGBA")
# Reduced with premultiplied alpha, or the edges would pick up the colour of what is transparent.
open_("host").convert("RGBa").resize((576, 432), Image.LANCZOS).convert("RGBA").save(f"{show}/host.png", optimize=True)
open_("panel").convert("RGB").resize((576, 432), Image.LANCZOS).save(f"{show}/panel.jpg", quality=90, subsampling=0, optimize=True)
open_("logo").crop((0, 0, 180, 92)).save(f"{show}/logo.png", optimize=True)
PY

if [ "${1:-}" = artwork ]; then
    blender -b -P "$here/still_life.py" -- "$tmp/still.png" 1305 72 >"$tmp/blender.log"
    python3 "$here/artwork.py" "$tmp/still.png" "$show/artwork.jpg"
fi
