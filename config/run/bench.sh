#!/usr/bin/env bash
# `make bench`: measures the release build on this machine and prints tables; nothing is judged.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=config/run/lib.sh
. config/run/lib.sh

need_packages "${packages_build[@]}" "${packages_runtime[@]}" "${packages_stream[@]}" "${packages_x264[@]}"
need_cargo
cargo bench --locked --bench picture
cargo bench --locked --bench sound
cargo bench --locked --bench deliver
cargo bench --locked --bench control
cargo bench --locked --features fdk-aac --bench aac
cargo bench --locked --features x264 --bench encode
cargo bench --locked --bench air
