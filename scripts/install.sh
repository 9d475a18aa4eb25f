#!/usr/bin/env bash
# Installs the built binary, the units and the settings below DESTDIR (first argument; empty = this machine).
set -euo pipefail
cd "$(dirname "$0")/.."
to=${1:-}
if [ ! -x target/release/capstan ]; then
    echo "capstan: target/release/capstan is missing; run \`make build\` first" >&2
    exit 1
fi
install -D -m 0755 target/release/capstan "$to/usr/bin/capstan"
for unit in systemd/*.service systemd/*.timer systemd/*.mount; do
    install -D -m 0644 "$unit" "$to/usr/lib/systemd/system/$(basename "$unit")"
done
install -D -m 0644 systemd/capstan.sysusers "$to/usr/lib/sysusers.d/capstan.conf"
install -D -m 0644 systemd/capstan.tmpfiles "$to/usr/lib/tmpfiles.d/capstan.conf"
if [ ! -e "$to/etc/capstan/capstan.toml" ]; then
    install -D -m 0644 conf/capstan.toml "$to/etc/capstan/capstan.toml"
fi
if [ -z "$to" ] && [ -d /run/systemd/system ]; then
    systemd-sysusers capstan.conf
    systemd-tmpfiles --create capstan.conf
    systemctl daemon-reload
    echo "capstan: edit /etc/capstan/capstan.toml, then: systemctl enable --now capstan.service capstan-doctor.timer"
fi
