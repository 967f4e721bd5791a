#!/bin/bash
# The forum thread "nrf91 at connect sdk - azure iot hub dps - understanding certificates", replayed word for word with the real openssl:
# its steps 1 to 5, 8 and 9, and the `cat` of 12, unchanged; its steps 6, 7, 10 and 11 with `dpsbench az` where it says `az`, and with values for its
# <placeholders>; three AT writes where it says `nrfcredstore` (12).
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

uuid=50503041-3633-4261-803d-1e2b8f70111a # the thread's <device uuid>
other=50503041-3633-4261-803d-1e2b8f70111b # one digit off
state="$scratch/state"
mkdir -p "$scratch/openssl" "$state"
cd "$scratch/openssl"
PATH=$DPSBENCH_BIN:$PATH
export DPSBENCH_STATE=$state
etag_1='' code='' etag_2=''

# The four lines of the thread that talk to Azure, word for word.
cat >azure.txt <<'THREAD'
6. az iot dps certificate create --dps-name <dps-name> --resource-group <rg> --certificate-name root-ca --path rootCA.pem
7. az iot dps certificate generate-verification-code --dps-name <dps-name> --resource-group <rg> --certificate-name root-ca --etag "<etag 1>"
10. az iot dps certificate verify --dps-name <dps name> --resource-group <rg> --certificate-name root-ca --path verificationCert.pem --etag "<etag 2>"
11. az iot dps enrollment-group create --dps-name <dps name> --resource-group <rg> --enrollment-id <enrollment-gr-id> --certificate-path rootCA.pem --provisioning-status enabled --iot-hubs <iot hub url> --allocation-policy static
THREAD

# azure STEP: run it.
azure() {
    local line
    line=$(sed -n "s/^$1\\. az /dpsbench az /p" azure.txt | sed -e 's/<dps.name>/thread-dps/; s/<rg>/thread-rg/; s/<enrollment-gr-id>/thread/' \
        -e 's/<iot hub url>/thread-hub.azure-devices.net/' -e "s/<etag 1>/$etag_1/; s/<etag 2>/$etag_2/")
    bash -euc "$line"
}

it 'steps 1 to 5: root, device key, request, certificate'
{
    openssl genrsa -out rootCA.key 2048
    printf 'NO\n.\nTrondheim\nExample\n.\nroot-ca\n.\n' | openssl req -x509 -new -nodes -key rootCA.key -sha256 -days 1024 -out rootCA.pem
    openssl genrsa -out device.key 2048
    openssl req -new -key device.key -out device.csr -subj "/CN=$uuid"
    openssl x509 -req -in device.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial -out device.crt -days 500 -sha256
} >openssl.log 2>&1

it 'steps 6 to 10: upload the root, prove that its key is ours'
azure 6 >created.json
is "$(jq -r .properties.isVerified created.json)" false
etag_1=$(jq -r .etag created.json)
azure 7 >asked.json
code=$(jq -r .properties.verificationCode asked.json) etag_2=$(jq -r .etag asked.json)
[[ $code =~ ^[0-9A-F]{48}$ ]] || fail "verification code '$code'"
{
    openssl req -new -key rootCA.key -out verification.csr -subj "/CN=$code"
    openssl x509 -req -in verification.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial -out verificationCert.pem -days 1 -sha256
} >>openssl.log 2>&1
azure 10 >verified.json
is "$(jq -r .properties.isVerified verified.json)" true
is "$(jq -rs '.[].etag' created.json asked.json verified.json | sort -u | wc -l)" 3

it 'step 11: an enrollment group with the root among its signing certificates'
azure 11 >group.json
is "$(jq -r '[.enrollmentGroupId, .provisioningStatus, .allocationPolicy, .iotHubs[0]] | @tsv' group.json)" \
    $'thread\tenabled\tstatic\tthread-hub.azure-devices.net'
is "$(jq -r '.attestation.x509.signingCertificates.primary.info.sha1Thumbprint' group.json)" "$(jq -r .properties.thumbprint verified.json)"

it 'step 12: one file with the chain'
cat device.crt rootCA.pem >device_fullchain.pem

start_simulator --profile connack

it 'a device whose registration id is not the CN gets the eight lines of the thread, in order'
start_device wrong "$other"
write_credentials wrong device_fullchain.pem device.key "$(ready sim root_ca)"
refused wrong "$other" device_fullchain.pem device.key

it 'and the simulator says why: the rule, both ids, the mend'
verdict=$(events attestation.verdict "$other" | head -n 1)
is "$(jq -r .verdict <<<"$verdict")" refused
is "$(jq -r .rule <<<"$verdict")" registration-id.mismatch
is "$(jq -r '[.surface, .return_code] | @tsv' <<<"$verdict")" $'connack\t5'
jq -r .text <<<"$verdict" >text
holds text "$uuid"
holds text "$other"
[[ -n $(jq -r '.mend // empty' <<<"$verdict") ]] || fail "no mend in $verdict"
is "$(jq -r '.evidence | [.registration_id, .leaf_cn] | @tsv' <<<"$verdict")" "$other"$'\t'"$uuid"

it 'a device whose registration id is the CN is assigned to its hub and sends telemetry'
start_device right "$uuid"
write_credentials right device_fullchain.pem device.key "$(ready sim root_ca)"
assigned right "$uuid"
is "$(events dps.assigned "$uuid" | jq -r '[.assigned_hub, .enrollment.kind, .enrollment.id] | @tsv' | head -n 1)" \
    $'thread-hub.azure-devices.net\tgroup\tthread'
is "$(observe "$scratch/observed" "$uuid" device_fullchain.pem device.key)" 27

it 'no private key got into an event or a log'
key_line=$(sed -n 20p device.key) # of a prime; the first lines hold the modulus, which is public
for file in "$(ready sim events)" "$scratch"/*.log "$scratch"/*.console; do
    lacks "$file" "$key_line"
done

it 'nothing stays behind when the programs end'
stop_program "$(ready sim pid)" TERM
missing "$state/ready.json"
