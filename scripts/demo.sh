#!/usr/bin/env bash
# Starts the demo of conf/demo.toml: data below ./data, hot in RAM. The first argument is the binary.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p data
hot=${CAPSTAN__STORAGE__HOT:-/dev/shm/capstan-demo}
if [ "$(stat -f -c %T "$(dirname "$hot")")" != tmpfs ]; then
    echo "capstan: $(dirname "$hot") is not a tmpfs; mount one and set CAPSTAN__STORAGE__HOT to a folder on it" >&2
    exit 1
fi
export CAPSTAN__STORAGE__HOT=$hot
listen=${CAPSTAN__SERVER__LISTEN:-127.0.0.1:8080}
printf '\n  Capstan records three devices.  Open  http://%s/   (Ctrl-C stops)\n\n' "$listen"
exec "$1" serve --config conf/demo.toml
