#!/usr/bin/env bash
# Runs the bench of the pages alone: benches/ui.rs and its driver tests/browser/bench_ui.mjs. Its rows of docs/claims.md
# are written anew, those of the other benches stay.
#
# CAPSTAN_BENCH_UI_HOURS   of the open wall, 8 unless told
# CAPSTAN_BENCH_UI_PARTS   "load lighthouse idle scroll heap past": which of these
set -euo pipefail
cd "$(dirname "$0")/.."
CAPSTAN_BENCH_ONLY=ui exec scripts/bench.sh
