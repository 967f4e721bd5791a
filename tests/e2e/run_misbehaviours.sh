#!/bin/bash
# The judge is judged with boards that misbehave: each row of misbehaviours.txt on a virtual DK of its own, all in one run. A fault of the rig must never
# count against the device, what can be coped with must pass, and what the device does wrong must fail, each with a sentence that says what it is.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

table=$DPSBENCH_SOURCE/tests/e2e/misbehaviours.txt
cases=$scratch/cases
cp -r "$DPSBENCH_SOURCE/cases" "$cases"

# A server whose certificates are longer than the modem takes: no case of the suite, since it is the modem's doing.
sed -e 's|^id: .*|id: server/long-chain|' -e 's|^title: .*|title: The server sends more than 4 kB of certificates|' \
    -e 's|^service:|server: {recipe: server/long-chain.yaml}\nservice:|' "$cases/provisioning/sub-ca.yaml" >"$cases/server/long-chain.yaml"

# virtual_of SWITCH: the keys of the rig file that switch it on.
virtual_of() {
    case $1 in
    mfw_*+*) printf 'mfw: %s, %s' "${1%%+*}" "$(virtual_of "${1#*+}")" ;;
    mfw_*) printf 'mfw: %s' "$1" ;;
    bench | nrf9160 | nrf9151 | first-attach) printf 'hardware_profile: %s' "$1" ;;
    *) printf 'misbehaviours: [%s]' "${1//+/, }" ;;
    esac
}

# rig_of SWITCH...: a rig file with a virtual DK for each, named by its switch; prints its path.
rig_of() {
    local number=0 name
    printf 'format: 1\ndevices:\n'
    for name in "$@"; do
        number=$((number + 1))
        printf '  - {id: %s, registration_id: nrf-%d, id_scope: 0ne000BBBB2, sec_tag: 57, virtual: {personality: reference, %s}}\n' \
            "$name" "$number" "$(virtual_of "$name")"
    done
}

# check_rows SWITCH...: what the table says of them is what the report says.
check_rows() {
    local name row verdict text found
    while IFS='|' read -r name row verdict text; do
        [[ " $* " == *" $name "* ]] || continue
        it "$name: $row is $verdict"
        found=$(jq -r --arg device "$name" --arg row "$row" '
            .rows[] | select(.device == $device and .id == $row) | "\(.verdict): \(.reason.text // "") \(.reason | tojson) \(.outcome // "")"' "$results")
        [[ $found == "$verdict: "* ]] || fail "expected $verdict, got: $found"
        [[ $found == *"$text"* ]] || fail "expected '$text' in: $found"
    done < <(grep -v '^#' "$table" | sed 's/ *| */|/g')
}

mapfile -t names < <(grep -v '^#' "$table" | sed 's/ *|.*//' | sort -u)

# Resets in a row are what this one is about, so it has rows of its own.
rig_of counts-resets >"$scratch/resets.yaml"
run_cases --rig "$scratch/resets.yaml" --cases "$cases" 'server/*' provisioning/sub-ca --order listed
check_rows counts-resets
it 'never lets a modem run into its reset loop'
is "$(report '[.rows[] | select(.id != "server/long-chain" and .verdict != "pass")] | length')" 0

rig_of crashes-when-refused >"$scratch/crashes.yaml"
run_cases --rig "$scratch/crashes.yaml" --order listed provisioning/sub-ca refused/wrong-chain:connack
check_rows crashes-when-refused

others=()
for name in "${names[@]}"; do
    [[ $name == counts-resets || $name == crashes-when-refused ]] || others+=("$name")
done
rig_of "${others[@]}" >"$scratch/all.yaml"
run_cases --rig "$scratch/all.yaml" --cases "$cases" --jobs 6 --order listed provisioning/sub-ca server/root-missing server/long-chain
check_rows "${others[@]}"
it 'sees the number that old modem firmware has for a handshake that fails, and the one of today'
holds "$out/mfw_nrf9160_1.1.3/console.log" 'mqtt_connect, error: -95'
holds "$out/mfw_nrf9160_1.3.1/console.log" 'mqtt_connect, error: -111'
it 'says with the exit code that a device failed, though the rig was at fault elsewhere'
exits 1

# written_to NAME OPTION...: what `dpsbench credentials write` says of a virtual DK with these options; its exit code in $code.
written_to() {
    local name=$1
    shift
    start_program "$name" "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/$name" --connect 127.0.0.1:1 --id-scope 0ne1 --registration-id dk-1 --sec-tag 56 \
        --time-scale 20 "$@"
    code=0
    DPSBENCH_LEDGER=$scratch/ledger.db "$dpsbench" credentials write "$(ready "$name" pty)" 56 ROOT_CA_CERT \
        "$DPSBENCH_SOURCE/fixtures/roots/DigiCertGlobalRootG2.crt.pem" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

it 'writes credentials through either shell, slow as the line may be, and the modem holds them'
written_to shell --misbehaviour mosh-shell --misbehaviour slow-uart
exits 0
holds "$scratch/stdout" 'ROOT_CA_CERT: written'

it 'says of a modem that prints no hashes that the write could not be verified'
written_to old --mfw mfw_nrf9160_1.3.1
exits 0
holds "$scratch/stderr" 'this modem firmware prints no hashes'

it 'says why a modem took nothing'
written_to low --misbehaviour brown-out
exits 1
holds "$scratch/stderr" 'AT%CMNG=0,56,0,...: +CME ERROR: 528 (not allowed while a power-off warning is active); the supply voltage is low'
