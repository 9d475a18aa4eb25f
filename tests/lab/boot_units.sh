#!/usr/bin/env bash
# Boots the installed units under a real systemd in namespaces of its own, and tries what they promise:
# ready, both control groups, hot kept over a kill, watchdog, doctor. Root, about two minutes; cgroup limits themselves are
# not enforced there.
#
#   tests/lab/boot_units.sh            needs target/release/capstan (make build) and mmdebstrap
#   ROOTFS=/path tests/lab/boot_units.sh   reuses a root made before
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "${1:-}" = --as-init ]; then # inside the namespaces: become systemd
    root=$2
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mkdir -p "$root/sys/fs/cgroup" "$root/dev"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
    for folder in run tmp dev; do mount -t tmpfs tmpfs "$root/$folder"; done
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir -p "$root/dev/pts" "$root/dev/shm"
    mount -t devpts devpts "$root/dev/pts"
    ln -s /proc/self/fd "$root/dev/fd"
    # The archive is a mount of its own, as the unit demands.
    mount -t tmpfs -o size=256m tmpfs "$root/var/lib/capstan"
    exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" /lib/systemd/systemd --log-target=console --show-status=0 </dev/null
fi

made=
if [ -z "${ROOTFS:-}" ]; then made=$(mktemp -d); fi
root=${ROOTFS:-$made/root}
if [ ! -x "$root/lib/systemd/systemd" ]; then
    mmdebstrap --quiet --variant=minbase --include=systemd,dbus,procps,ffmpeg bookworm "$root"
fi
scripts/install.sh "$root"
mkdir -p "$root/var/lib/capstan" "$root/etc/systemd/system/multi-user.target.wants"
ln -sf /usr/lib/systemd/system/capstan.service "$root/etc/systemd/system/multi-user.target.wants/"
cat >"$root/etc/capstan/capstan.toml" <<'TOML'
[archive]
commit_seconds = 2
chunk_seconds = 10
min_free_bytes = "16MiB"
[[camera]]
id = "pattern"
quality = "low"
fps = 10
source = { kind = "test" }
TOML

unshare -m -p -u -i -n -C --fork "$0" --as-init "$root" >"$root.log" 2>&1 &
outer=$!
leave() {
    kill -9 "$(pgrep -P "$outer")" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
    if [ -n "$made" ]; then rm -rf "$made"; fi
}
trap leave EXIT

inside() { nsenter -t "$(pgrep -P "$outer")" -m -p -u -i -n -C -r -w "$@"; }
within() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge "$end" ]; then
            echo "boot_units: FAILED: $what" >&2
            inside journalctl -u capstan.service --no-pager -n 40 >&2 || true
            exit 1
        fi
        sleep 0.5
    done
    echo "boot_units: ok: $what"
}
show() { inside systemctl show -P "$1" capstan.service; }
segments() { inside sh -c 'ls /run/capstan/pattern/segments/*.ts | wc -l'; }
other_than() { [ "$(show MainPID)" != "$1" ] && [ "$(show ActiveState)" = active ]; }

within 60 "the recorder is ready" inside systemctl is-active --quiet capstan.service
within 30 "it records into hot" sh -c "[ \"\$(nsenter -t $(pgrep -P "$outer") -m -r -w sh -c 'ls /run/capstan/pattern/segments/*.ts' | wc -l)\" -ge 3 ]"
pid=$(show MainPID)
within 5 "the daemon is in its own group" inside grep -q 'capstan.service/daemon$' "/proc/$pid/cgroup"
ffmpeg=$(inside pgrep -x ffmpeg | head -n 1)
within 5 "FFmpeg is in the other" inside grep -q 'capstan.service/work$' "/proc/$ffmpeg/cgroup"
within 40 "doctor is content" inside /usr/bin/capstan doctor --config /etc/capstan/capstan.toml

before=$(segments)
inside kill -9 "$pid"
within 20 "a killed recorder is back" other_than "$pid"
[ "$(segments)" -ge "$before" ] && echo "boot_units: ok: hot was not cleared"

pid=$(show MainPID)
inside kill -STOP "$pid"
within 60 "a hung recorder is noticed by the watchdog" other_than "$pid"
inside systemctl stop capstan.service
[ "$(show Result)" = success ] && echo "boot_units: ok: it stops in order"
