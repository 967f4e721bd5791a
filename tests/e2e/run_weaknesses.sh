#!/bin/bash
# A suite is worth what it catches: under each weakness the cases that name it must fail, and for the reason that the weakness gives.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# What the reason of every row must say, by weakness: view, and a part of what was expected.
declare -A view=(
    [accepts-any-server]=wire
    [skips-host-name-check]=wire
    [sends-leaf-only]=service
    [ignores-retry-after]=service
    [retries-at-once]=wire
    [never-gives-up]=wire
)
declare -A expected=(
    [accepts-any-server]='no mqtt.connect'
    [skips-host-name-check]='no mqtt.connect'
    [sends-leaf-only]="verdict = 'accepted'"
    [ignores-retry-after]='10 s or more after the event before it'
    [retries-at-once]='no mqtt.connect more than 1 times'
    [never-gives-up]='no mqtt.connect more than 1 times'
)

named=$("$dpsbench" list --json | jq -r '[.rows[].fails_under[]] | unique | .[]')
is "$(printf '%s\n' "${!view[@]}" | sort)" "$named"

for weakness in $named; do
    it "catches $weakness"
    mapfile -t rows < <("$dpsbench" list --json | jq -r ".rows[] | select(.fails_under | index(\"$weakness\")) | .id")
    run_cases --rig "$(rig "$weakness" reference "$weakness")" "${rows[@]}"
    exits 1
    is "$(report .summary.fail)" "${#rows[@]}"
    is "$(report '[.rows[].reason.view] | unique | join(",")')" "${view[$weakness]}"
    for ((i = 0; i < ${#rows[@]}; i++)); do
        report ".rows[$i].reason.expected" | grep -qF -e "${expected[$weakness]}" ||
            fail "${rows[$i]} fails for another reason: $(report ".rows[$i].reason | tojson")"
    done
done

it 'says which rule the weak device runs into'
run_cases --rig "$(rig leaf reference sends-leaf-only)" provisioning/sub-ca
is "$(report '.rows[0].rule')" chain.issuer-not-sent
