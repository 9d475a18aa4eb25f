#!/usr/bin/env bash
# The rules that a machine can hold: format, lints, architecture, units, spelling, licences.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --locked --all-targets -- -D warnings
cargo test --locked --quiet --test architecture
scripts/lint_units.sh
if command -v shellcheck >/dev/null 2>&1; then shellcheck scripts/*.sh tests/lab/*.sh .ci/run; else echo "lint: no shellcheck here"; fi
if command -v typos >/dev/null 2>&1; then typos; else echo "lint: no typos here (pip install typos)"; fi
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --all-features check bans licenses sources
else
    echo "lint: no cargo-deny here"
fi
if [ -f ui/package.json ] && grep -q '"lint"' ui/package.json; then npm --prefix ui run --silent lint; fi
echo "lint: ok"
