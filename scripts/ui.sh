#!/usr/bin/env bash
# Builds ui/ into ui/dist, which the binary embeds. The lock file decides every version.
set -euo pipefail
cd "$(dirname "$0")/../ui"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    # Not `npm ci`: npm 11 refuses a lock file that leaves out the bundler's binaries for other systems.
    npm install --no-save --no-audit --no-fund --loglevel=error
fi
npm run --silent build
touch dist/.built
