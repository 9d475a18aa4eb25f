#!/usr/bin/env bash
# Does a stranger's first hour work? A fresh Debian 12 in a chroot, a clone of this tree's HEAD, `make run`, `make test`:
# what the scripts forgot to install shows at once. Root, network, mmdebstrap; the Rust toolchain is lent by this machine.
#
#   tests/lab/fresh.sh FOLDER [run|test]…      FOLDER is made when it is not there, and kept
set -euo pipefail
cd "$(dirname "$0")/../.."
root=${1:?usage: fresh.sh FOLDER [run|test]…}
shift
if [ ! -d "$root/usr" ]; then
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,make,gcc,libc6-dev,curl bookworm "$root"
fi
root=$(realpath "$root")
rm -rf "$root/opt/capstan"
git clone --quiet . "$root/opt/capstan"

# In a mount namespace of its own: nothing stays mounted whatever happens.
if [ -z "${CAPSTAN_FRESH:-}" ]; then
    cargo_home=${CARGO_HOME:-$HOME/.cargo} rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
    export CAPSTAN_FRESH=1 cargo_home rustup_home
    exec unshare -m --propagation private "$0" "$root" "$@"
fi
for folder in proc sys dev; do mount --rbind "/$folder" "$root/$folder"; done
mkdir -p "$root/rust/cargo/bin" "$root/rust/cargo/registry" "$root/rust/rustup"
mount --bind "$cargo_home/bin" "$root/rust/cargo/bin"
mount --bind "$cargo_home/registry" "$root/rust/cargo/registry"
mount --bind "$rustup_home" "$root/rust/rustup"
cp /etc/resolv.conf "$root/etc/resolv.conf"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi

inside() {
    chroot "$root" env -i HOME=/tmp LANG=C.UTF-8 CARGO_HOME=/rust/cargo RUSTUP_HOME=/rust/rustup \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
        PATH=/rust/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c "cd /opt/capstan && $1"
}

for step in "${@:-run test}"; do
    for target in $step; do
        case $target in
        run)
            # Moving pictures: a second segment of each device, that FFmpeg decodes.
            # shellcheck disable=SC2016 # expands inside
            inside 'set -e
                # A session of its own: ended as a whole, and a background shell would ignore Ctrl-C.
                setsid make run >/tmp/run.log 2>&1 & run=$!
                trap "kill -TERM -- -$run 2>/dev/null || true; tail -n 5 /tmp/run.log" EXIT
                for i in $(seq 1800); do
                    curl -sf http://127.0.0.1:8080/readyz >/dev/null && break
                    kill -0 $run || exit 1
                    sleep 1
                done
                sleep 15
                for device in bunny pattern trouble; do
                    live=http://127.0.0.1:8080/host/stream/$device/segments/output.m3u8
                    ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 \
                        -read_intervals %+3 $live
                done
                curl -sf http://127.0.0.1:8080/ | head -c 200'
            ;;
        *) inside "time make $target" ;;
        esac
    done
done
