#!/bin/bash
# dpsbench sim ticket: one file by which the bench reaches a simulator of another machine; here both are this one.
# shellcheck disable=SC2016,SC2119  # `names` are text; no arguments of ours are meant
set -euo pipefail

# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
unset DPSBENCH_STATE

# refuses TEXT WORD...: exit 2 or 3, nothing on stdout, the text on stderr.
refuses() {
    local text=$1 code=0
    shift
    "$dpsbench" "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
    [[ $code == 2 || $code == 3 ]] || fail "$*: exit status $code"
    is "$(wc -c <"$scratch/out")" 0
    holds "$scratch/err" "$text"
}

it 'refuses a control address that is none, and one that is taken'
refuses_sim() {
    local code=0
    "$sim_program" --state "$scratch/other" --control "$1" >"$scratch/out" 2>"$scratch/err" || code=$?
    is "$code" "$3"
    holds "$scratch/err" "$2"
}
refuses_sim localhost:8884 'numeric address' 2
start_sim "$scratch/state" --control 127.0.0.1:0 --time-scale "$DPSBENCH_TIME_SCALE"
refuses_sim "$(ready control)" 'Address already in use' 3

it 'writes a ticket that only its owner may read, with no path of this machine in it'
"$dpsbench" sim ticket --state "$state" --control localhost --out "$scratch/ticket" >"$scratch/out"
holds "$scratch/out" "ticket for localhost:$(port control) written to"
is "$(stat -c %a "$scratch/ticket")" 600
lacks "$scratch/ticket" "$scratch"
is "$(jq -r .control "$scratch/ticket")" "localhost:$(port control)"
"$dpsbench" sim ticket --state "$state" --control '[::1]:9' --out "$scratch/v6" >/dev/null
is "$(jq -r .control "$scratch/v6")" '[::1]:9'
"$dpsbench" sim ticket --state "$state" --control ::1 --out "$scratch/v6" >/dev/null
is "$(jq -r .control "$scratch/v6")" "[::1]:$(port control)"

it 'refuses what is no address, and a simulator that does not run'
refuses '--control' sim ticket --state "$state" --out "$scratch/x"
refuses '--out FILE' sim ticket --state "$state" --control localhost
refuses "give HOST or HOST:PORT" sim ticket --state "$state" --control localhost:0 --out "$scratch/x"
refuses 'ready.json' sim ticket --state "$scratch/none" --control localhost --out "$scratch/x"
missing "$scratch/x"

it 'turns knobs, shows lanes and manages enrollments by the ticket'
"$dpsbench" sim set --state "$scratch/ticket" dev-01 connack=5 >"$scratch/out"
"$dpsbench" sim show --state "$scratch/ticket" >"$scratch/out"
holds "$scratch/out" 'connack'
"$dpsbench" sim clear --state "$scratch/ticket" dev-01 >/dev/null
"$dpsbench" az iot dps enrollment list --state "$scratch/ticket" >"$scratch/out"
is "$(jq -c . "$scratch/out")" '[]'

it 'runs rows by the ticket, and leaves the simulator as it was'
cat >"$scratch/rig.yaml" <<RIG
format: 1
devices:
  - id: dk
    registration_id: nrf-352656100000002
    id_scope: $id_scope
    sec_tag: 57
    virtual: {personality: reference}
simulator: {ready: $scratch/ticket}
RIG
"$dpsbench" run --rig "$scratch/rig.yaml" --out "$scratch/run" refused/wrong-chain provisioning/thread >"$scratch/out" 2>"$scratch/err" ||
    fail "$(cat "$scratch/out" "$scratch/err")"
holds "$scratch/out" '3 passed, 0 failed, 0 skipped'
is "$(jq -r .rig.simulator.is_ours "$scratch/run/results.json")" false
! grep -rl 'PRIVATE KEY' "$scratch/run" || fail 'the key of the ticket is in the report'
is "$("$dpsbench" az iot dps enrollment-group list --state "$scratch/ticket" | jq length)" 0

it 'says what is wrong with a ticket'
jq 'del(.control_key)' "$scratch/ticket" >"$scratch/bad"
refuses '`control_key` is no PEM text' sim show --state "$scratch/bad"
printf '{}' >"$scratch/bad"
refuses 'not a ticket of this version' sim show --state "$scratch/bad"
jq '.control = "localhost:1"' "$scratch/ticket" >"$scratch/bad"
refuses 'localhost' sim show --state "$scratch/bad"

it 'says that nobody is there when the simulator has ended'
end_sim
refuses 'localhost' sim show --state "$scratch/ticket"
