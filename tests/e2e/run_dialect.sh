#!/bin/bash
# A firmware that is not Nordic's sample runs the cases: nothing but `dialect:` in the rig file is other.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# check ARGUMENT...: `dpsbench dialect check`; output in $scratch/stdout, exit code in $code.
check() {
    code=0
    "$dpsbench" dialect check "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

await_ready() {
    local deadline=$((SECONDS + 60))
    until [[ -e $1/ready.json ]]; do
        ((SECONDS < deadline)) || fail "$1 is not ready: $(cat "$1.log")"
        read -rt 0.05 <> <(:) || true
    done
}

id=nrf-352656100000004 scope=0ne000DDDD4
mkdir "$scratch/sim"
"$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/sim" --listen 127.0.0.1:0 --id-scope "$scope" >/dev/null 2>"$scratch/sim.log" &
started+=($!)
await_ready "$scratch/sim"
"$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --dps-host global.azure-devices-provisioning.net --connect "$(jq -r .dps "$scratch/sim/ready.json")" \
    --id-scope "$scope" --registration-id "$id" --sec-tag 16842753 --personality reference >/dev/null 2>"$scratch/dk.log" &
started+=($!)
dk_pid=$!
await_ready "$scratch/dk"
"$DPSBENCH_TESTS/pty_reword" "$(jq -r .pty "$scratch/dk/ready.json")" "$scratch/port" "$DPSBENCH_SOURCE/tests/e2e/field-sensor.words" 2>"$scratch/reword.log" &
started+=($!)
deadline=$((SECONDS + 60))
until [[ -e $scratch/port ]]; do
    ((SECONDS < deadline)) || fail "no port: $(cat "$scratch/reword.log")"
    read -rt 0.05 <> <(:) || true
done
cp "$DPSBENCH_SOURCE/fixtures/dialects/field-sensor.yaml" "$scratch/ours.yaml"
cat >"$scratch/sensor.yaml" <<RIG
format: 1
devices:
  - id: sensor
    serial: $scratch/port
    registration_id: $id
    id_scope: $scope
    sec_tag: 16842753
    dialect: ./ours.yaml
    hooks:
      reset: [kill, -HUP, '$dk_pid']
      chip_erase: [kill, -USR1, '$dk_pid']
simulator: {ready: $scratch/sim}
health: none
RIG

it 'runs the same rows on a firmware with other words'
unset DPSBENCH_TIME_SCALE
run_cases --rig "$scratch/sensor.yaml" refused/cn-mismatch
exits 0
is "$(last_line)" '2 passed, 0 failed, 0 skipped'
is "$(report '.rows[0].device')" sensor
jq -r 'select(.kind == "console.connection-rejected") | .data | "\(.return_code) \(.line)"' "$out/timeline.jsonl" | grep -qx '5 prov: refused, not authorised' ||
    fail 'the refusal was not told in the words of this firmware'
lacks "$out/console.log" azure_iot_hub 2>/dev/null || fail 'words of the sample came through'

it 'knows every word of a run, also in what the run kept of it'
raw=$(find "$out" -name console.raw)
check "$raw" --dialect "$scratch/ours.yaml" --json
is "$code" 0
is "$(jq -r '[.summary.missed_lines[].message] | map(select(test("azure"))) | length' "$scratch/stdout")" 0
is "$(jq -r '.summary.recognised > 5' "$scratch/stdout")" true

it 'recognises nothing there with the words of the sample'
check "$raw" --summary
is "$code" 5
