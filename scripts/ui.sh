#!/usr/bin/env bash
# Builds ui/ into ui/dist, which the binary embeds. The lock file decides every version.
set -euo pipefail
cd "$(dirname "$0")/../ui"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
fi
npm run --silent build
touch dist/.built
