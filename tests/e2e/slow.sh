#!/bin/bash
# The whole suite at another time scale than the quick tests use: what passes only because everything is fast, or slow, shows here.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"
cd "$scratch"

for scale in 4 100; do
    # A handshake under sanitizers takes several device seconds at 100.
    [[ $scale != 100 || $DPSBENCH_TIME_SCALE == 50 ]] || continue
    it "all cases at time scale $scale"
    code=0
    "$DPSBENCH_BIN/dpsbench" run --time-scale "$scale" --out "out-$scale" >table 2>log || code=$?
    [[ $code == 0 ]] || fail "exit code $code"$'\n'"$(cat table)"
    grep -qE '^[1-9][0-9]* passed, 0 failed, [0-9]+ skipped$' table || fail "closing line: $(tail -n 1 table)"
done
