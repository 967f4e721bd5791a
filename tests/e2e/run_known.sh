#!/bin/bash
# Known findings: a row that fails as it is known to is `known`; one that fails otherwise fails; one that passes is reported as fixed.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# A case that no device passes: after the failure nothing becomes ready.
cases=$scratch/cases
mkdir -p "$cases/server"
good=$DPSBENCH_SOURCE/cases/server/root-missing.yaml
bad() {
    sed "s/event: console.failed/event: console.hub-ready/" "$good" >"$cases/server/root-missing.yaml"
}
know() {
    cat >"$cases/known-findings.yaml" <<YAML
format: 1
findings:
  - rows: [server]
    device: {dialect: nordic, personality: nordic-sample}
    fails: [{event: $1}]
    reason: it never becomes ready
    source: the test
YAML
}
before_last_line() {
    tail -n 2 "$scratch/stdout" | head -n 1
}

it 'is known, and ends with 0, when nothing fails but what is listed'
bad && know console.hub-ready
run_cases --cases "$cases"
exits 0
is "$(last_line)" '0 passed, 0 failed, 0 skipped'
is "$(before_last_line)" '1 known finding, 1 row fails by them alone'
is "$(report '.rows[0].verdict')" known
is "$(report '.rows[0].reason.expected')" console.hub-ready
is "$(report '.rows[0].findings[0] | .kind + ": " + .text')" 'fails: it never becomes ready'
holds "$scratch/stdout" 'it never becomes ready (the test)'

it 'fails on a device of which it is not known'
run_cases --cases "$cases" --rig "$(rig reference reference)"
exits 1
is "$(last_line)" '0 passed, 1 failed, 0 skipped'

it 'fails when something else fails too'
run_cases --cases "$cases" --rig "$(rig weak nordic-sample accepts-any-server)"
exits 1
is "$(report '.rows[0].reason.expected')" 'no mqtt.connect'

it 'reports as fixed what is listed and passes'
cp "$good" "$cases/server/root-missing.yaml"
know console.failed
run_cases --cases "$cases"
exits 0
is "$(last_line)" '1 passed, 0 failed, 0 skipped'
is "$(before_last_line)" '0 known findings, 1 fixed'
holds "$scratch/stdout" 'Fixed: known findings that pass now'
is "$(report '.summary.fixed')" 1

it 'refuses an entry that is about nothing, before anything runs'
know console.hub-ready
run_cases --cases "$cases"
exits 2
holds "$scratch/stderr" "known-findings.yaml:5:21: none of these rows expects 'console.hub-ready'"
missing "$out"
