#!/bin/bash
# A device that misbehaves as a whole: boots unasked, falls silent. Inconclusive on first contact, a failure once something has passed on it.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

pid_of_dk() {
    jq .pid "$out/.private/virtual-dk/ready.json"
}

# The row provisioning/retry-after is under way: its first reply is out, and the device waits.
await_reply() {
    local deadline=$((SECONDS + 60))
    until grep -qsF '"retry_after_s":10' <(grep -F '"kind":"dps.reply"' "$out/timeline.jsonl" 2>/dev/null); do
        ((SECONDS < deadline)) || fail "no reply in time: $(cat "$scratch/stderr")"
        kill -0 "$run_pid" || fail "the run ended: $(cat "$scratch/stderr")"
        read -rt 0.02 <> <(:) || true
    done
}

it 'fails a device that boots unasked after a row that passed'
start_run --order listed provisioning/guide provisioning/retry-after
await_reply
kill -HUP "$(pid_of_dk)"
end_run
exits 1
is "$(report '.rows | map(.verdict) | join(",")')" pass,fail
is "$(report .rows[1].reason.text)" 'the device booted without being asked to'

it 'is inconclusive about the same on first contact'
start_run provisioning/retry-after
await_reply
kill -HUP "$(pid_of_dk)"
end_run
exits 3
is "$(report .rows[0].verdict)" inconclusive

it 'fails a device that falls silent after a row that passed'
start_run --order listed provisioning/guide provisioning/retry-after server/root-missing
await_row 1
await_reply
kill -STOP "$(pid_of_dk)"
end_run
exits 1
is "$(report .rows[0].verdict)" pass
is "$(report .rows[1].verdict)" fail
is "$(report .rows[2].verdict)" fail
nobody_left "$out"

checked_rig() {
    cat >"$scratch/checked.yaml" <<RIG
format: 1
devices:
  - id: virtual-dk
    registration_id: nrf-352656100000002
    id_scope: 0ne000BBBB2
    sec_tag: 57
    virtual: {personality: nordic-sample, weaknesses: [$1]}
health: $2
RIG
}

it 'runs no row, and blames nobody, when the health check before the rows does not pass'
checked_rig accepts-any-server server/expired
run_cases --rig "$scratch/checked.yaml" refused/wrong-chain
exits 3
is "$(report '.rows | map(.verdict) | join(",")')" inconclusive,inconclusive
is "$(report '.rig.devices[0].health | "\(.row) \(.opened.verdict) \(.closed)"')" 'server/expired fail null'
holds "$scratch/stdout" "the health check 'server/expired' before the rows did not pass"

it 'lifts the blame since the last row that passed when the health check after the rows does not pass'
checked_rig '' provisioning/guide
start_run --rig "$scratch/checked.yaml" --order listed provisioning/guide provisioning/retry-after server/root-missing
await_row 1
await_reply
kill -STOP "$(pid_of_dk)"
end_run
exits 3
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive,inconclusive
is "$(report '.rig.devices[0].health | "\(.opened.verdict) \(.closed.verdict)"')" 'pass fail'
holds "$scratch/stdout" 'so nobody knows whose fault this is'
nobody_left "$out"

it 'lifts it still when the run is resumed; a kill in the closing check has it run again, and that one finds the device well'
code=0
"$dpsbench" run --resume "$out" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
exits 3
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive,inconclusive
is "$(report '.rig.devices[0].health | "\(.opened.verdict) \(.closed.verdict)"')" 'pass fail'
lacks "$scratch/stderr" 'health check of'
sed -i '/^{"health".*"is_opening":false/d' "$out/journal.jsonl"
code=0
"$dpsbench" run --resume "$out" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
exits 1
is "$(report '.rows | map(.verdict) | join(",")')" pass,fail,fail
is "$(report '.rig.devices[0].health | "\(.opened.verdict) \(.closed.verdict)"')" 'pass pass'
holds "$scratch/stderr" "health check of 'virtual-dk' after the rows: pass"

it 'names a health row that is not there'
checked_rig '' provisioning/guid
run_cases --rig "$scratch/checked.yaml" refused
exits 2
holds "$scratch/stderr" "health:"

# broker_of SIMULATOR: the Mosquitto among its children.
broker_of() {
    local child
    for child in $(pgrep -P "$1"); do
        [[ $(cat "/proc/$child/comm") != mosquitto ]] || printf '%s\n' "$child"
    done
}

it 'is inconclusive about the row in which Mosquitto is killed, and goes on with the next'
start_run --order listed provisioning/guide provisioning/retry-after provisioning/thread refused/wrong-chain
await_row 1
await_reply
broker=$(broker_of "$(jq .pid "$out/.private/simulator/ready.json")")
[[ -n $broker ]] || fail 'no Mosquitto below the simulator'
kill -KILL "$broker"
end_run
exits 3
is "$(report .rows[0].verdict)" pass
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive,pass,pass,pass
report '.rows[1].reason.text' | grep -qF 'control plane' || fail "$(report '.rows[1].reason')"
nobody_left "$out"

it 'is inconclusive when the port closes in the middle of a row'
start_run --order listed provisioning/guide provisioning/retry-after
await_row 1
await_reply
kill -KILL "$(pid_of_dk)"
end_run
exits 3
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive
nobody_left "$out"

it 'is inconclusive when the simulator dies in the middle of a row'
start_run --order listed provisioning/guide provisioning/retry-after
await_row 1
await_reply
kill -KILL "$(jq .pid "$out/.private/simulator/ready.json")"
end_run
exits 3
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive
nobody_left "$out"
