# shellcheck shell=bash
# What run.sh and test.sh have in common. Sourced, never run.
#
# Packages are those of Debian 12 and Ubuntu 24.04, which name them alike; the lists are for those who source this.
# shellcheck disable=SC2034

# Cargo and its build scripts: a C++ compiler and an assembler for the software encoder; curl asks whether we are ready.
packages_build=(ca-certificates curl g++ make nasm)
# The program: Vulkan and its software driver, which is unused where there is a GPU.
packages_runtime=(libvulkan1 mesa-vulkan-drivers)
# What receives the stream, and what looks at it.
packages_stream=(ffmpeg libnginx-mod-rtmp nginx)
# What the tests put before it: TLS.
packages_tls=(libnginx-mod-stream)
# NVIDIA's header, for the stand-in of its driver that the tests compile.
packages_drivers=(libffmpeg-nvenc-dev)
# The encoder that the feature `x264` builds in, and what finds it.
packages_x264=(libx264-dev pkg-config)
# What draws the same pictures from HTML, for the tests. Ubuntu has it as a snap alone: snap install chromium.
packages_oracle=(chromium)

# Mesa's device-select layer asks a window system which GPU it prefers, and complains where there is none; adapters are
# chosen by the program itself.
export NODEVICE_SELECT=1

say() {
    if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi
}
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need_packages NAME...: installs those that are missing; touches nothing, the network included, if none is.
need_packages() {
    local missing=() name
    if ! command -v apt-get >/dev/null; then
        need_elsewhere "$@"
        return
    fi
    for name in "$@"; do
        is_installed "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    say "Installing with apt-get: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "this needs root, and there is no sudo; as root run: apt-get update && apt-get install ${missing[*]}"
    fi
    as_root apt-get update -qq
    case " ${missing[*]} " in
    *" nginx "*) install_unstarted "${missing[@]}" ;;
    *) apt_install "${missing[@]}" ;;
    esac
}

apt_install() {
    # `env`, because sudo drops the environment.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

# Installing nginx starts the system's service, and we want only the program. policy-rc.d is what Debian asks
# before it starts anything; it is ours for this one install, unless the machine has its own already.
install_unstarted() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [ -e "$policy" ]; then
        apt_install "$@" || status=$?
    else
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        apt_install "$@" || status=$?
        as_root rm -f "$policy"
    fi
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet nginx.service 2>/dev/null || true
    fi
    return "$status"
}

# Not a Debian: the programs may be there all the same, and only the missing ones are worth a word.
need_elsewhere() {
    local name missing=()
    for name in "$@"; do
        case $name in
        chromium | curl | ffmpeg | g++ | make | nasm | nginx | pkg-config | shellcheck) command -v "$name" >/dev/null || missing+=("$name") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] ||
        die "no apt-get here (this knows Debian and Ubuntu); please install what these stand for: $*"
}

# need_node_modules DIRECTORY: what its package-lock.json says, exactly; touches nothing if that is there.
need_node_modules() {
    [ ! "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] || return 0
    command -v npm >/dev/null || need_packages npm
    say "Installing with npm: $1"
    npm ci --prefix "$1" --no-audit --no-fund --silent
}

# need_python DIRECTORY: what its requirements.txt says, exactly, apart from the machine's own; touches nothing if that is
# there.
need_python() {
    local venv=$1/.venv
    [ ! "$venv/.installed" -nt "$1/requirements.txt" ] || return 0
    python3 -c 'import ensurepip' 2>/dev/null || need_packages python3-venv
    say "Installing with pip: $1"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$1/requirements.txt"
    touch "$venv/.installed"
}

# Rust itself is the user's to install: which version and where is not for us to choose.
need_cargo() {
    command -v cargo >/dev/null || die "cargo was not found; Rust comes from https://rustup.rs"
}

has_x264() {
    command -v pkg-config >/dev/null && pkg-config --exists x264
}

# need_component COMMAND COMPONENT: a part of Rust that a minimal installation leaves out.
need_component() {
    cargo "$1" --version >/dev/null 2>&1 ||
        die "cargo $1 was not found; install it with: rustup component add $2"
}
