#!/bin/bash
# A hundred virtual DKs, provisioned in one go: one has the IMEI of another, one modem has no room, one too little power, one does
# not answer, one takes its commands through a shell. What it took is printed.
set -euo pipefail

# shellcheck source=tests/e2e/provision_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/provision_lib.sh"

boards=100
make_ca
start_simulator --id-scope "$scope"
started_s=$SECONDS
for ((i = 1; i < boards; i++)); do
    case $i in
    20) start_board "$i" --misbehaviour store-full ;;
    40) start_board "$i" --misbehaviour brown-out ;;
    60) start_board "$i" --misbehaviour uart-shell ;;
    *) start_board "$i" ;;
    esac
done
start_board "$boards" --imei "$(imei_of 1)"
for ((i = 1; i <= boards; i++)); do
    await_board "$i"
done
printf '  %s virtual DKs are up after %s s\n' "$boards" "$((SECONDS - started_s))"
make_rig "$boards"
kill -STOP "$(jq -r .pid "$scratch/dk-7/ready.json")"

it 'provisions a hundred boards; the ones that cannot stop no other'
started_s=$SECONDS
provision --id 'nrf-{imei}' --enroll line-1 --ca-root "$scratch/ca/root.crt.pem"
exits 1
printf '  provisioned in %s s: %s done, %s failed\n' "$((SECONDS - started_s))" "$(ended 'done')" "$(ended failed)"
is "$(ended 'done') $(ended failed)" '96 4'
is "$(jq -r '[.boards[] | select(.outcome == "failed").device] | sort | join(" ")' "$scratch/stdout" | grep -cE '^slot-(1|100) slot-20 slot-40 slot-7$')" 1
is "$(manifest '.boards | length')" 96
is "$(manifest '[.boards[] | select(.proof.kind == "assigned" and .is_verified)] | length')" 96
is "$(manifest '[.boards[].certificate.sha256] | unique | length')" 96

jq -r '.boards[] | select(.device == "slot-20").text' "$scratch/stdout" | grep -q 'memory full' || fail 'a full store'
jq -r '.boards[] | select(.device == "slot-40").text' "$scratch/stdout" | grep -q 'supply voltage' || fail 'a supply that sags'

it 'goes on with the one that was mended, and leaves the others alone'
kill -CONT "$(jq -r .pid "$scratch/dk-7/ready.json")"
started_s=$SECONDS
provision --id 'nrf-{imei}'
exits 1
printf '  again in %s s\n' "$((SECONDS - started_s))"
is "$(ended already) $(ended 'done') $(ended failed)" '96 1 3'
is "$(wc -l <"$scratch/lot/manifest.csv")" 98
