#!/bin/bash
# Several devices at once on one simulator.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# rig_of NAME PERSONALITY[:WEAKNESS]...: a rig with as many virtual DKs, dk-1 and so on; prints its path.
rig_of() {
    local path=$scratch/$1.yaml number=0 what
    shift
    printf 'format: 1\ndevices:\n' >"$path"
    for what; do
        number=$((number + 1))
        printf '  - {id: dk-%d, registration_id: nrf-%d, id_scope: 0ne000BBBB2, sec_tag: 57, virtual: {personality: %s, weaknesses: [%s]}}\n' \
            "$number" "$number" "${what%%:*}" "$(sed -n 's/[^:]*://p' <<<"$what")" >>"$path"
    done
    printf '%s' "$path"
}

# verdicts DEVICE: "id verdict" of its rows.
verdicts() {
    report ".rows[] | select(.device == \"$1\") | .id + \" \" + .verdict" | sort
}

rows=(provisioning/guide server/host-name-mismatch)

it 'runs the same rows on three devices at once, each under names of its own, and blames the one that fails alone'
run_cases --rig "$(rig_of three reference reference reference:skips-host-name-check)" --jobs 3 "${rows[@]}"
exits 1
is "$(verdicts dk-1)" $'provisioning/guide pass\nserver/host-name-mismatch pass'
is "$(verdicts dk-2)" "$(verdicts dk-1)"
is "$(verdicts dk-3)" $'provisioning/guide pass\nserver/host-name-mismatch fail'
is "$(last_line)" '5 passed, 1 failed, 0 skipped'
is "$(report '[.rows[] | select(.id == "provisioning/guide") | .outcome] | unique | join(" ")')" 'assigned to dpsbench-hub.azure-devices.net as gateway-1'
is "$(report '[.rig.devices[] | .id + " " + .registration_id + " " + .identity.model] | sort | map(split(" ")[0:2] | join(" ")) | join(",")')" 'dk-1 nrf-1,dk-2 nrf-2,dk-3 nrf-3'
is "$(report '[.rig.devices[].lane] | unique | length')" 3
is "$(report '.rig.simulator.is_ours')" true
nobody_left "$out"
missing "$out/.private"

it 'keeps files of its own for each device, without what another did'
for device in dk-1 dk-2 dk-3; do
    is "$(jq -rs '[.[] | .registration_id // empty | select(startswith("nrf-"))] | unique | join(" ")' "$out/$device/timeline.jsonl")" "nrf-${device#dk-}"
    [[ -s $out/$device/console.log ]] || fail "$device has no console.log"
    [[ -e $out/certificates/$device/provisioning/guide/leaf.crt.pem ]] || fail "$device has no certificates"
done
missing "$out/timeline.jsonl"
"$dpsbench" show "$out" server/host-name-mismatch --wide >"$scratch/text"
is "$(grep -c 'CONSOLE .* | WIRE .* | SERVICE$' "$scratch/text")" 3
lacks "$out/dk-1/timeline.jsonl" 'gateway-1.lane'

it 'starts no two devices with one registration id'
sed -i 's/nrf-3/NRF-1/' "$scratch/three.yaml"
run_cases --rig "$scratch/three.yaml" "${rows[@]}"
exits 2
holds "$scratch/stderr" "three.yaml:5:"
holds "$scratch/stderr" "each connected device needs a registration id of its own: device 'dk-1'"
