#!/bin/bash
# Every case on the built-in rig: a virtual DK with Nordic's sample, and a simulator of the run's own.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

rows=$("$dpsbench" list | wc -l)

it 'has at least 45 rows'
((rows >= 45)) || fail "only $rows"

it 'passes every case on the built-in rig, or fails by known findings alone'
run_cases
exits 0
known=$(report .summary.known)
is "$(last_line)" "$((rows - known)) passed, 0 failed, 0 skipped"
is "$(report '[.rows[] | select(.verdict != "pass" and .verdict != "known") | .id] | join(" ")')" ''

it 'writes to the modem exactly as often as planned, and that is as seldom as can be'
"$dpsbench" plan --json >"$scratch/plan.json"
is "$(report '[.rows[].credential_writes] | add')" "$(jq '.devices[0].planned.credential_writes' "$scratch/plan.json")"
is "$(report '.rows | map(.id) | join(" ")')" "$(jq -r '.devices[0].rows | join(" ")' "$scratch/plan.json")"
is "$(jq '.devices[0].planned.credential_writes' "$scratch/plan.json")" "$(jq '.devices[0].bound.credential_writes' "$scratch/plan.json")"

it 'lists no known finding that is fixed'
is "$(report '[.rows[].findings[] | select(.kind == "fixed") | .text] | unique | join("; ")')" ''

it 'names rule and sentence of every refusal, in the table and in the report'
for row in wrong-chain:chain.unknown-ca cn-mismatch:registration-id.mismatch intermediate-not-sent:chain.issuer-not-sent ca-not-verified:ca.not-verified; do
    for surface in connack azure; do
        is "$(report ".rows[] | select(.id == \"refused/${row%%:*}:$surface\") | .rule")" "${row#*:}"
    done
    holds "$scratch/stdout" "${row#*:}: "
done
is "$(report '[.rows[] | select(.rule and ((.mend // "") == "" or .outcome == null))] | length')" 0

it 'tells both ids of a mismatch'
holds "$scratch/stdout" 'some-other-device'
holds "$scratch/stdout" 'nrf-352656100000001'

it 'counts known findings in a line before the closing line'
expected="$(report '[.rows[].findings[].text] | unique | length') known findings"
((known == 0)) || expected+=", $known row$( ((known == 1)) && printf ' fails' || printf 's fail') by them alone"
is "$(tail -n 2 "$scratch/stdout" | head -n 1)" "$expected"
is "$(grep -cE '^report: ' "$scratch/stdout")" 1

it 'writes a whole report, timeline and console'
is "$(report .is_complete)" true
is "$(report .exit_code)" 0
is "$(report .rig.devices[0].personality)" nordic-sample
is "$(jq -s length "$out/timeline.jsonl")" "$(wc -l <"$out/timeline.jsonl")"
is "$(report '[.rows[] | select(.timeline.last <= .timeline.first)] | length')" 0
holds "$out/virtual-dk/console.log" 'Connection was rejected with return code 5'
holds "$out/timeline.jsonl" '"kind":"at.command"'

it 'keeps no private key, and leaves no process and no private folder behind'
! grep -rlE 'BEGIN[A-Z ]* PRIVATE KEY' "$out" || fail 'a private key is in the report'
missing "$out/.private"
nobody_left "$out"

it 'puts the talk on stderr and one plain line a row where there is no terminal'
lacks "$scratch/stderr" $'\r'
lacks "$scratch/stderr" $'\033'
is "$(grep -c '^\[' "$scratch/stderr")" "$rows"

it 'prints one JSON document with --json'
run_cases --json server/root-missing
exits 0
is "$(jq -r '.rows[0].verdict' "$scratch/stdout")" pass
is "$(jq -cS . "$scratch/stdout")" "$(jq -cS . "$results")"
