#!/bin/bash
# perf_smoke.sh - the benchmarks measure what they say, and see a wrong reply. No figure is judged here: the machine may be busy.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
source "$DPSBENCH_SOURCE/tests/e2e/lib.sh"
perf=${DPSBENCH_BIN%/*}/perf

it 'calls itself by the name under which people call it'
code=0
"$perf/run" --frob 2>"$scratch/err" || code=$?
is "$code" 2
holds "$scratch/err" "bench perf: error: unknown option '--frob'"

it 'measures rates, memory and the time to ready, each load without a failure'
TMPDIR=$scratch "$perf/run" --rounds 1 --count 40 --concurrency 8 --idle 40 --only rates --json >"$scratch/rates.json"
is "$(jq -c '[.loads[].rounds[] | .failures, .wrong] | add' "$scratch/rates.json")" 0
is "$(jq -c '[.loads[].rounds[] | select(.rate > 0 and .server_cpu_us > 0)] | length' "$scratch/rates.json")" 5
is "$(jq -rc '[.goals[].id] | sort | join(" ")' "$scratch/rates.json")" \
    'connack-to-bare connack-to-mosquitto ready registration-to-connack registrations-a-minute'
# Fewer devices would be lost in what the processes give back to the system meanwhile.
TMPDIR=$scratch "$perf/run" --idle 300 --only idle --json >"$scratch/idle.json"
is "$(jq -rc '[.goals[].id] | sort | join(" ")' "$scratch/idle.json")" 'idle-device ready'
is "$(jq -c '.goals[] | select(.id == "idle-device") | .figure > 0' "$scratch/idle.json")" true

TMPDIR=$scratch "$perf/run" --rounds 1 --only pki --json >"$scratch/pki.json"
is "$(jq -rc '[.goals[].id] | sort | join(" ")' "$scratch/pki.json")" 'pki ready'
is "$(jq -c '.goals[] | select(.id == "pki") | .figure > 0' "$scratch/pki.json")" true

it 'leaves nothing behind'
is "$(find "$scratch" -maxdepth 1 -name 'dpsbench-perf.*')" ''

it 'counts a refused CONNECT and a foreign greeting as wrong, a closed port as a failure'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=issuer -keyout "$scratch/key.pem" -out "$scratch/issuer.pem" \
    2>"$scratch/openssl.log"
load() {
    local code=0
    "$perf/load_client" --count 4 --concurrency 2 --issuer "$scratch/issuer.pem" --issuer-key "$scratch/key.pem" "$@" \
        >"$scratch/load.json" 2>"$scratch/load.log" || code=$?
    is "$code" 1
}
# A started program has said where it is.
wait_for_line() {
    local deadline=$((SECONDS + 30))
    until [[ -s $1 ]]; do
        [[ $SECONDS -lt $deadline ]] || fail "nothing in $1 after 30 s"
        read -rt 0.05 <> <(:) || true
    done
}
"$perf/bare_loop" --certificate "$scratch/issuer.pem" --key "$scratch/key.pem" >"$scratch/bare.json" &
started+=($!)
wait_for_line "$scratch/bare.json"
address=$(jq -r .address "$scratch/bare.json")
# The four bytes are those of a CONNACK 0: good for connack, not for a registration, which then has to wait for more.
load --connect "$address" --mode registration --deadline 1
is "$(jq -c '[.failures, .wrong]' "$scratch/load.json")" '[4,0]'
"$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/sim" --server-key p-256 >"$scratch/sim.json" 2>"$scratch/sim.log" &
started+=($!)
wait_for_line "$scratch/sim.json"
load --connect "$(jq -r .dps "$scratch/sim.json")" --mode connack --id-scope another
is "$(jq -c '[.failures, .wrong]' "$scratch/load.json")" '[0,4]'
load --connect 127.0.0.1:1 --mode connack
is "$(jq -c '[.failures, .wrong]' "$scratch/load.json")" '[4,0]'
