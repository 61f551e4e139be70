#!/usr/bin/env bash
# `make test`: everything a change must pass, quickest first; stops at the first failure.
#
# One profile throughout, the dev profile, so that lints, docs and tests share what is compiled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=config/run/lib.sh
. config/run/lib.sh

if [ -n "${CI:-}" ]; then
    # A CI builds once from clean: incremental files would only cost it time and room.
    export CARGO_INCREMENTAL=0 CARGO_NET_RETRY=5 CARGO_TERM_PROGRESS_WHEN=never
    export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
fi
exec </dev/null

need_packages "${packages_build[@]}" "${packages_runtime[@]}" "${packages_stream[@]}" "${packages_tls[@]}" "${packages_drivers[@]}" \
    "${packages_x264[@]}" shellcheck
# However it was installed.
command -v chromium >/dev/null || need_packages "${packages_oracle[@]}"
need_node_modules tests/servers/node
need_node_modules tests/contract/typescript
need_python tests/contract/python
need_cargo
need_component fmt rustfmt
need_component clippy clippy

say "Scripts"
shellcheck --external-sources config/run/*.sh config/examples/*.sh assets/show/src/*.sh .ci/run
say "Format"
cargo fmt --check
say "Lints"
cargo clippy --all-targets --locked -- -D warnings
say "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
say "Tests"
cargo test --locked
say "Tests with x264 and fdk-aac"
cargo test --locked --features x264,fdk-aac --lib -- encode:: ffi::x264:: audio::tests::
