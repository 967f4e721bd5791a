#!/bin/bash
# exec.sh CLIENT - the whole suite on a client as it comes (fixtures/exec): whatever it gets wrong is a known finding with its reason.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

client=$1
# Real handshakes and an interpreter's start do not scale.
scale=20

# missing_client WHAT: not tested, loudly; in CI install.sh has failed before.
missing_client() {
    printf 'NOT TESTED: %s is not installed\n' "$1"
    exit 77
}

case $client in
node-sdk)
    export NODE_PATH=$DPSBENCH_INTEROP/node_modules
    [[ -d $NODE_PATH/azure-iot-provisioning-device-mqtt ]] || missing_client azure-iot-provisioning-device-mqtt
    it 'names the versions that are tested'
    is "$(jq -c '.dependencies' "$DPSBENCH_SOURCE/fixtures/exec/node-sdk/package.json")" \
        "$(jq -c --slurpfile own "$DPSBENCH_SOURCE/fixtures/exec/node-sdk/package.json" '.dependencies | with_entries(select(.key | in($own[0].dependencies)))' \
            "$DPSBENCH_SOURCE/tests/interop/package.json")"
    ;;
paho) /usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || missing_client python3-paho-mqtt ;;
*) fail "no client '$client'" ;;
esac

it "runs every case on $client, and explains all that it gets wrong"
run_cases --rig "$DPSBENCH_SOURCE/fixtures/rigs/$client.yaml" --time-scale "$scale"
exits 0
rows=$("$dpsbench" list | wc -l)
is "$(report '.rows | length')" "$rows"
is "$(report '[.rows[] | select(.verdict == "skip")] | length')" 0
(($(report .summary.pass) > rows / 2)) || fail "only $(report .summary.pass) of $rows rows pass"
(($(report .summary.known) > 0)) || fail 'it gets nothing wrong any more: take its findings out of cases/known-findings.yaml'
is "$(report '[.rows[] | select(.verdict == "known") | select([.findings[] | select(.kind == "fails")] == [])] | length')" 0
report '.rows[] | .findings[] | select(.kind == "fixed") | "FIXED, take it out: " + .text' | sort -u
report '.rows[] | select(.verdict == "known") | .id + ": " + .findings[0].text'
