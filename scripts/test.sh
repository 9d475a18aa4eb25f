#!/usr/bin/env bash
# Runs every test and ends with one line that says what happened. Short rounds, or the long ones with CAPSTAN_KIND=soak.
#
# CAPSTAN_ROUNDS   rounds of the seeded tests (kill -9, torn files); each test has its own default
# CAPSTAN_SEED     where their random numbers start; printed on failure
# CAPSTAN_NO_SKIP  a test that cannot run here fails instead of skipping (continuous integration)
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${CAPSTAN_KIND:-test}
if [ "$kind" = soak ]; then
    export CAPSTAN_SOAK=1 CAPSTAN_ROUNDS=${CAPSTAN_ROUNDS:-50}
fi
export CAPSTAN_SKIPS=$PWD/target/skips.txt
mkdir -p target
: >"$CAPSTAN_SKIPS"
started=$SECONDS
failed=0
# Those that passed only when they were run again.
flaky=()

scripts/lint_units.sh || failed=1
# What the pages decide by themselves: times, addresses, rights, keys, the types of the API.
npm --prefix ui test --silent || failed=1

if cargo nextest --version >/dev/null 2>&1; then
    profile=default
    if [ "$kind" = soak ]; then profile=soak; fi
    # Two more than cores: three wait for daemons most of the time.
    threads=$(($(nproc) + 2))
    cargo nextest run --locked --lib --bins --tests --profile "$profile" --no-fail-fast --test-threads "$threads" ||
        failed=1
    report=target/nextest/$profile/junit.xml
    if [ -f "$report" ]; then
        # A <testcase name="…"> that holds a <flakyFailure>.
        mapfile -t flaky < <(awk -F '"' '/<testcase /{ name = $2 } /<flakyFailure/ && !told[name]++ { print name }' "$report")
    fi
else
    cargo test --locked --lib --bins --tests --no-fail-fast || failed=1
fi
cargo test --locked --doc --quiet || failed=1

if [ "$kind" = soak ]; then
    scripts/fuzz.sh || failed=1
    if [ "$(id -u)" -eq 0 ] && command -v mmdebstrap >/dev/null 2>&1; then
        cargo build --release --locked && tests/lab/boot_units.sh || failed=1
    else
        echo "boot_units: needs root and mmdebstrap" >>"$CAPSTAN_SKIPS"
    fi
fi

skips=$(sort -u "$CAPSTAN_SKIPS" | wc -l)
if [ "$skips" -gt 0 ]; then
    printf '\n%s skipped here:\n' "$skips"
    sort -u "$CAPSTAN_SKIPS" | sed 's/^/  SKIPPED  /'
fi
if [ ${#flaky[@]} -gt 0 ]; then
    printf '\n%s passed only when run again:\n' ${#flaky[@]}
    printf '  FLAKY  %s\n' "${flaky[@]}"
fi
result=ok
if [ "$failed" -ne 0 ]; then result=FAILED; fi
printf '\nmake %s: %s; %d skipped, %d flaky; finished in %ds\n' "$kind" "$result" "$skips" ${#flaky[@]} $((SECONDS - started))
exit "$failed"
