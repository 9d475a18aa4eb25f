#!/usr/bin/env bash
# The systemd units are well-formed and tight. `systemd-analyze verify` answers 0 to unknown keys: any word is a fault.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v systemd-analyze >/dev/null 2>&1; then
    echo "lint_units: no systemd-analyze here" | tee -a "${CAPSTAN_SKIPS:-/dev/null}"
    if [ -n "${CAPSTAN_NO_SKIP:-}" ]; then exit 1; fi
    exit 0
fi

# The commands that the units name must exist for `verify`: a root of its own gives it those, without touching the machine.
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/bin" "$root/bin" "$root/etc/systemd/system" "$root/usr/lib/systemd"
for command in usr/bin/capstan bin/kill; do
    printf '#!/bin/sh\n' >"$root/$command"
    chmod 0755 "$root/$command"
done
cp systemd/*.service systemd/*.timer systemd/*.mount "$root/etc/systemd/system/"
for stock in /usr/lib/systemd/system /lib/systemd/system; do
    if [ -d "$stock" ]; then cp -a "$stock" "$root/usr/lib/systemd/system"; break; fi
done

words=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no \
    capstan.service capstan-doctor.service capstan-doctor.timer run-capstan.mount 2>&1 || true)
if [ -n "$words" ]; then
    printf 'systemd-analyze verify says:\n%s\n' "$words" >&2
    exit 1
fi

# 30 = exposure 3.0.
for unit in capstan.service capstan-doctor.service; do
    if ! verdict=$(systemd-analyze security --no-pager --offline=true --threshold=30 "systemd/$unit" 2>&1); then
        printf '%s\n' "$verdict" >&2
        exit 1
    fi
    printf 'lint_units: %s: %s\n' "$unit" "$(printf '%s\n' "$verdict" | sed -n 's/.*Overall exposure level[^:]*: *\([0-9.]*\).*/exposure \1/p')"
done
