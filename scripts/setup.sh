#!/usr/bin/env bash
# Installs what `make run|test|bench|lint` needs and this machine lacks. Debian and Ubuntu; sudo only when not root.
# Elsewhere it names what is missing, so that the person can install it.
set -euo pipefail

purpose=${1:-run}
missing=()

need() { # COMMAND PACKAGE…: the packages are wanted when the command is not there
    command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}")
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "capstan: cargo is missing; install Rust 1.88 or newer from https://rustup.rs and run this again" >&2
    exit 1
fi

need cc gcc libc6-dev
need ffmpeg ffmpeg
need ffprobe ffmpeg
need node nodejs
need npm npm
if [ "$purpose" = bench ] && [ ! -x /usr/sbin/nginx ]; then
    # The measure of benches/serving.rs and benches/browser.rs.
    missing+=(nginx-light)
fi
if [ "$purpose" = test ] || [ "$purpose" = bench ]; then
    need mkfs.ext4 e2fsprogs
    need losetup mount
    need curl curl
    need faketime faketime
    need Xvfb xvfb
    need systemd-analyze systemd
    need python3 python3
    # promtool, for the alerts of conf/prometheus.
    need promtool prometheus
    # The figure beside ours in benches/analysis.rs.
    if ! /usr/bin/python3 -c 'import numpy' >/dev/null 2>&1; then missing+=(python3-numpy); fi
    # The browser of tests/e2e_browser.rs.
    need chromium chromium
    # The RTSP cameras of tests/lab/rtsp_server.py.
    if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' >/dev/null 2>&1; then
        missing+=(python3-gi gir1.2-gst-rtsp-server-1.0
            gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
            gstreamer1.0-libav)
    fi
fi
if [ "$purpose" = test ] && ! /usr/bin/python3 -c 'import ensurepip' >/dev/null 2>&1; then
    # For the tool of tests/e2e_fuzz.rs, below.
    missing+=(python3-venv)
fi
if [ "$purpose" = lint ]; then
    need systemd-analyze systemd
fi

if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "capstan: please install (names as in Debian): ${missing[*]}" >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    echo "capstan: installing ${missing[*]}"
    log=$(mktemp)
    # Package lists of a fresh machine are empty or old; a machine that is offline may still have the packages cached.
    "${as_root[@]}" apt-get update -q >"$log" 2>&1 || true
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        cat "$log" >&2
        echo "capstan: apt-get could not install: ${missing[*]}" >&2
        exit 1
    fi
    rm -f "$log"
fi

wanted=$(dirname "$0")/../tests/fixtures/schemathesis.txt
tool=$(dirname "$0")/../target/schemathesis
if [ "$purpose" = test ] && ! cmp -s "$wanted" "$tool/installed.txt"; then
    # Of tests/e2e_fuzz.rs, which skips without it; each version is pinned.
    rm -rf "$tool"
    if /usr/bin/python3 -m venv "$tool" && "$tool/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"; then
        cp "$wanted" "$tool/installed.txt"
    else
        echo "capstan: schemathesis could not be installed; the API is not fuzzed" >&2
        rm -rf "$tool"
    fi
fi

if [ "$purpose" = test ] || [ "$purpose" = bench ]; then
    # The driver of that browser. Why not `npm ci`: see scripts/ui.sh. Lighthouse, large, is for the bench alone.
    cd "$(dirname "$0")/../tests/browser"
    omit=()
    if [ "$purpose" = test ] && [ ! -d node_modules/lighthouse ]; then omit=(--omit=dev); fi
    if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ] ||
        { [ "$purpose" = bench ] && [ ! -d node_modules/lighthouse ]; }; then
        npm install --no-save --no-audit --no-fund --loglevel=error "${omit[@]}"
    fi
fi
