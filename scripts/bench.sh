#!/usr/bin/env bash
# Runs the benches and writes docs/claims.md from what they print.
#
# A bench reports a figure with a line of its own, tabs between:   claim<TAB>KEY<TAB>BASELINE<TAB>OURS
# Keys are the first column of benches/claims.tsv. CAPSTAN_BENCH_SECONDS shortens the ten minutes of disk_writes.
# CAPSTAN_BENCH_ONLY="serving playback" runs these alone; the figures of the others stay those of their last run.
set -euo pipefail
cd "$(dirname "$0")/.."
log=target/bench.txt
mkdir -p target
read -ra only <<<"${CAPSTAN_BENCH_ONLY:-}"
if [ ${#only[@]} -gt 0 ]; then
    cargo bench --locked "${only[@]/#/--bench=}" 2>&1 | tee -a "$log"
else
    cargo bench --locked --benches 2>&1 | tee "$log"
fi
# A fault of a bench hides in the pipe otherwise.
machine="$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r), $(ffmpeg -version | head -n 1 | cut -d ' ' -f 1-3)"
# The bench of the demuxer speaks the table of its framework: its third column is the median.
sed -n 's/^.. a_minute_of_segments *//p' "$log" | awk -F '│' '{ gsub(/^ +| +$/, "", $3); print "claim\tdemux\t\t" $3 }' >>"$log"
awk -F '\t' -v machine="$machine" -v day="$(date -u +%F)" '
    FNR == NR { if ($1 == "claim") { baseline[$2] = $3; ours[$2] = $4 } next }
    /^#/ {
        print "# The numbers, ours beside the promised ones\n"
        print "Written by `make bench` from `benches/claims.tsv` and what the benches print; do not edit."
        print "Last run: " day ", " machine "; what did not run then stands as it was found last.\n"
        print "| claim | how measured | baseline, same run | ours | limit |"
        print "|---|---|---|---|---|"
        next
    }
    NF {
        if ($1 in ours) { b = baseline[$1]; o = ours[$1] }
        else if ($5 == "planned") { b = ""; o = "not built yet" }
        else if ($5 == "tested" || $5 == "derived") { b = ""; o = $5 == "tested" ? "kept by tests" : "derived" }
        else { b = ""; o = "not measured yet (" $5 ")" }
        print "| " $2 " | " $3 " | " b " | " o " | " $4 " |"
    }' "$log" benches/claims.tsv >docs/claims.md
echo "bench: wrote docs/claims.md"
