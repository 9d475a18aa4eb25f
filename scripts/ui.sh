#!/usr/bin/env bash
# Builds ui/ into ui/dist, which the binary embeds. The lock file decides every version.
set -euo pipefail
cd "$(dirname "$0")/../ui"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    # Not `npm ci`: it refuses a lock file that lacks a bundler binary of some other platform, as when a registry
    # mirror did not carry one on the day the file was written. This installs the locked versions all the same.
    npm install --no-save --no-audit --no-fund --loglevel=error
fi
npm run --silent build
touch dist/.built
