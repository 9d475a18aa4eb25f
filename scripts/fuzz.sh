#!/usr/bin/env bash
# Every fuzz target for CAPSTAN_FUZZ_SECONDS each, from the seeds in tests/fixtures. Finds go to fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo fuzz --version >/dev/null 2>&1; then cargo install --locked cargo-fuzz; fi
for target in $(cargo +nightly fuzz list); do
    seeds=()
    if [ -d "fuzz/seeds/$target" ]; then seeds=("fuzz/seeds/$target"); fi
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "${seeds[@]}" -- \
        -max_total_time="${CAPSTAN_FUZZ_SECONDS:-60}" -rss_limit_mb=2048
done
