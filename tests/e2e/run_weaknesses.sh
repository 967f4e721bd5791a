#!/bin/bash
# A suite is worth what it catches. Under each weakness of the virtual DK every row that names it must fail, and at the expectation that says that it
# catches it, on the wire or in the service. All comes from `dpsbench list --json` and `dpsbench-vdk --help`: a new case or weakness needs no line here.
# Arguments: the number of this part and of all parts, from 0: the weaknesses are dealt out, so that parts can run side by side.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

part=${1:-0} parts=${2:-1}
listed=$scratch/listed.json
"$dpsbench" list --json >"$listed"
mapfile -t weaknesses < <("$DPSBENCH_BIN/dpsbench-vdk" --help | sed -n '/^Weaknesses:/,/^$/{s/^  \([a-z-]*\) .*/\1/p}')

it 'has a case for every weakness, and a weakness for every name in a case'
[[ ${#weaknesses[@]} -ge 7 ]] || fail "dpsbench-vdk --help names only: ${weaknesses[*]}"
is "$(jq -r '[.rows[].fails_under[]] | unique | .[]' "$listed")" "$(printf '%s\n' "${weaknesses[@]}" | sort)"

for ((w = part; w < ${#weaknesses[@]}; w += parts)); do
    weakness=${weaknesses[w]}
    it "catches $weakness"
    mapfile -t rows < <(jq -r ".rows[] | select(.fails_under | index(\"$weakness\")) | .id" "$listed")
    run_cases --rig "$(rig "$weakness" reference "$weakness")" "${rows[@]}"
    exits 1
    # One line a row that did not fail where it must: what it says, and where it should have failed.
    wrong=$(jq -r --arg weakness "$weakness" --slurpfile listed "$listed" '
        ($listed[0].rows | map({key: .id, value: .caught_at[$weakness]}) | from_entries) as $caught_at
        | .rows[] | . as $row
        | select(.verdict != "fail" or ([.reason, (.also // [])[]] | any(.place as $place | $caught_at[$row.id] | index($place)) | not))
        | "\(.id): \(.verdict), \(.reason | tojson), not at \($caught_at[.id] | join(" or "))"' "$results")
    [[ -z $wrong ]] || fail "$wrong"
    is "$(report '.rows | length')" "${#rows[@]}"
done

((part == 0)) || exit 0
it 'says which rule a weak device runs into'
run_cases --rig "$(rig leaf reference sends-leaf-only)" provisioning/sub-ca
is "$(report '.rows[0].rule')" chain.issuer-not-sent
