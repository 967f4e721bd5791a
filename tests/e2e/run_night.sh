#!/bin/bash
# A night's run, in short: repetitions, retries, quarantine, shards, a time budget, and --resume after a kill. run_nights.sh has the long ones.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

xml() {
    xmllint --nonet --xpath "$1" "$out/junit.xml"
}

weak=$(rig weak reference skips-host-name-check)
rows=(server/root-missing server/host-name-mismatch)

it 'runs a row again that does not go well, and never believes the repetition'
run_cases --rig "$weak" --retries 1 --order listed "${rows[@]}"
exits 1
is "$(report '.rows | map(.id + " " + .verdict) | sort | join(",")')" 'server/host-name-mismatch fail,server/root-missing pass'
is "$(report '.rows[] | select(.verdict == "fail") | [.attempts[].verdict] | join(" ")')" 'fail fail'
is "$(report '[.rows[] | select(.is_unstable)] | length')" 0
[[ -d $out/certificates/server/host-name-mismatch && -d $out/certificates/server/host-name-mismatch+1.2 ]] || fail 'an attempt has no evidence'

it 'runs quarantined rows, reports them as they are, and does not count them until their last day is over'
cat >"$scratch/quarantine.yaml" <<Q
format: 1
quarantine:
  - {rows: [server/host-name-mismatch], reason: nobody knows yet, owner: firmware team, expires: $(date -u -d tomorrow +%F)}
Q
run_cases --rig "$weak" --quarantine "$scratch/quarantine.yaml" "${rows[@]}"
exits 0
is "$(last_line)" '1 passed, 0 failed, 0 skipped'
is "$(report '.rows[] | select(.quarantine) | .verdict + " " + .quarantine.owner')" 'fail firmware team'
is "$(xml 'string(//testcase[@name="host-name-mismatch"]/skipped/@type)')" quarantined
sed -i "s/expires: .*}/expires: $(date -u -d yesterday +%F)}/" "$scratch/quarantine.yaml"
run_cases --rig "$weak" --quarantine "$scratch/quarantine.yaml" server/host-name-mismatch
exits 1
holds "$scratch/stderr" "quarantine.yaml:3:6: the quarantine of 'server/host-name-mismatch' ended with"
sed -i "s/expires: .*}/expires: 2026-02-30}/" "$scratch/quarantine.yaml"
run_cases --rig "$weak" --quarantine "$scratch/quarantine.yaml" server/root-missing
exits 2
holds "$scratch/stderr" "quarantine.yaml:3:"
holds "$scratch/stderr" "'2026-02-30' is no day"

it 'goes on after a kill where it was: nothing twice, nothing lost'
start_run --rig "$weak" --repeat 3 --time-scale "$DPSBENCH_TIME_SCALE" server/root-missing
await_row 1
kill -KILL "$run_pid"
{ end_run; } 2>/dev/null
"$dpsbench" run --resume "$out" --json >"$scratch/stdout" 2>"$scratch/stderr" || fail "$(cat "$scratch/stderr")"
is "$(report '[.rows[].repetition] | join(" ")')" '1 2 3'
is "$(report '.resumptions')" 1
is "$(report '[.rows[].verdict] | unique | join(" ")')" pass
is "$(report '.is_complete')" true
nobody_left "$out"
# Each row's events are there, and its own.
is "$(report '[.rows[].timeline | .first] | . == sort and (unique | length) == 3')" true
"$dpsbench" show "$out" server/root-missing >/dev/null

it 'refuses to go on with other options, or with a rig that has changed, and says which'
code=0
"$dpsbench" run --resume "$out" --repeat 4 2>"$scratch/stderr" || code=$?
exits 2
holds "$scratch/stderr" "was not started with this --repeat"
printf '# \n' >>"$weak"
code=0
"$dpsbench" run --resume "$out" 2>"$scratch/stderr" || code=$?
exits 2
holds "$scratch/stderr" "weak.yaml' has changed since the run began"

it 'has nothing to do in a shard without a row, and says so'
for shard in 1 2; do
    run_cases --shard "$shard/99" --until-fail --repeat 2 server/root-missing
    exits 0
    is "$(last_line)" '0 passed, 0 failed, 0 skipped'
    holds "$scratch/stderr" "shard $shard/99 holds none of the 1 selected row: nothing to run"
done

it 'begins no row that its time budget has no room for, and lists it'
run_cases --time-budget 1s server/root-missing
exits 6
is "$(report '.summary.not_run, .not_run[0].id')" $'1\nserver/root-missing'
is "$(xml 'string(//testcase/skipped/@message)')" 'the time budget of 1 s left no room for it'
holds "$scratch/stdout" '1 row not run'
