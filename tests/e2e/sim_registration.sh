#!/bin/bash
# Registration in full, over real TLS and MQTT: symmetric keys, hubs and policies, webhooks, conflicts, quotas, limits.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

key_one=$(printf 0123456789abcdef0123456789abcdef | base64)
key_group=$(printf fedcba9876543210fedcba9876543210 | base64)

# signature TEXT KEY: base64 of HMAC-SHA256, by the command line that people use
signature() {
    local hex
    hex=$(base64 -d <<<"$2" | od -An -v -tx1 | tr -d ' \n')
    printf '%s' "$1" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | base64
}

# token ID KEY [SECONDS]
token() {
    local resource="$id_scope%2Fregistrations%2F$1" expiry sig
    expiry=$(($(date +%s) + ${3:-600}))
    sig=$(signature "$resource"$'\n'"$expiry" "$2")
    printf 'SharedAccessSignature sr=%s&sig=%s&se=%s&skn=registration' "$resource" "$(jq -nr --arg s "$sig" '$s | @uri')" "$expiry"
}

# sas ID TOKEN STEP...: a device without a certificate
sas() {
    local id=$1 password=$2
    shift 2
    "$DPSBENCH_TESTS/mqtt_device" --port "$(port dps)" --root "$(ready root_ca)" --id "$id" --user "$id_scope/registrations/$id/api-version=2019-03-31" \
        --password "$password" "$@"
}

# change ID JQ-FILTER: an individual enrollment, by its file and SIGHUP
change() {
    jq "$2" "$state/enrollments/$1.json" >"$scratch/changed.json"
    cp "$scratch/changed.json" "$state/enrollments/$1.json"
    reread
}

# count PATTERN: lines of the events' file so far
count() {
    grep -c -- "$1" "$state/events.jsonl" || true
}

# until_more PATTERN N: wait until the events' file holds more than N such lines
until_more() {
    local line left=$(($2 + 1)) fd tail_pid
    exec {fd}< <(exec tail -n +1 -F -- "$state/events.jsonl" 2>/dev/null)
    tail_pid=$!
    while ((left > 0)) && IFS= read -r -t 30 line <&"$fd"; do
        [[ $line != *"$1"* ]] || left=$((left - 1))
    done
    kill "$tail_pid"
    exec {fd}<&-
    ((left == 0)) || fail "no further event with $1"
}

reread() {
    local before
    before=$(count '"action":"reread"')
    kill -HUP "$sim_pid"
    until_more '"action":"reread"' "$before"
}

# state_of ID CERTIFICATE: registers and assigns; the registrationState's members that say where and how
state_of() {
    assign "$1" "$2"
    jq -c '.registrationState | [.assignedHub, .substatus]' <<<"$assigned"
}

# failed_with ID CERTIFICATE [BODY]: registers and polls once; what it ended in
failed_with() {
    local reply
    reply=$(device "$1" "$2" "${subscribe[@]}" pub "$put" "${3:-}" 1 recv pub "$get" '' 1 recv disconnect | sed -n 's/^MESSAGE //p' | tail -n 1)
    body "$reply" | jq -c '[.status, .registrationState.errorCode, .registrationState.errorMessage]'
}

make_self_signed leaf dev-x
state="$scratch/sim"
write_individual dev-x leaf
mkdir -p "$state/enrollmentGroups"
jq -n --arg key "$key_one" '{registrationId: "dev-s", deviceId: "meter-7", attestation: {type: "symmetricKey", symmetricKey: {primaryKey: $key}}}' \
    >"$state/enrollments/dev-s.json"
jq -n --arg key "$key_group" '{enrollmentGroupId: "sas-group", attestation: {type: "symmetricKey", symmetricKey: {primaryKey: $key}}}' \
    >"$state/enrollmentGroups/sas-group.json"
echo '{"properties": {"allocationPolicy": "Hashed", "iotHubs": [{"name": "hub-a.azure-devices.net"}, {"name": "hub-b.azure-devices.net", "allocationWeight": 0}]}}' \
    >"$state/service.json"

mkfifo "$scratch/webhook.port"
"$DPSBENCH_TESTS/webhook_server" "$scratch/webhook.log" >"$scratch/webhook.port" 2>/dev/null &
started+=("$!")
read -r -t 20 webhook_port <"$scratch/webhook.port"
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE" --webhook-timeout 2000 --csr-preview

it 'assigns a device with a symmetric key, by the deviceId of its individual enrollment'
sas dev-s "$(token dev-s "$key_one")" "${subscribe[@]}" pub "$put" '' 1 recv pub "$get" '' 1 recv disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
last=$(body "$(sed -n 's/^MESSAGE //p' "$scratch/out" | tail -n 1)")
is "$(jq -c '.registrationState | [.symmetricKey, .deviceId, .assignedHub, .status, .substatus]' <<<"$last")" \
    '[{},"meter-7","hub-a.azure-devices.net","assigned","initialAssignment"]'

it 'assigns a device of a group by the key that is derived from its id'
sas dev-g1 "$(token dev-g1 "$(signature dev-g1 "$key_group")")" "${subscribe[@]}" pub "$put" '' 1 recv pub "$get" '' 1 recv disconnect >"$scratch/out" ||
    fail "$(cat "$scratch/out")"
last=$(body "$(sed -n 's/^MESSAGE //p' "$scratch/out" | tail -n 1)")
is "$(jq -c '.registrationState | [.symmetricKey.enrollmentGroupId, .deviceId]' <<<"$last")" '["sas-group","dev-g1"]'

it 'refuses bad tokens with CONNACK 5 and says why, without the token'
for row in "sas.group-key|$(token dev-g1 "$key_group")" "sas.expired|$(token dev-g1 "$(signature dev-g1 "$key_group")" -60)" \
    "sas.resource|$(token dev-g2 "$key_group")" 'sas.token|hunter2'; do
    code=0
    sas dev-g1 "${row#*|}" disconnect >"$scratch/out" 2>&1 || code=$?
    is "$code $(head -n 1 "$scratch/out")" '5 CONNACK 5'
    is "$(last_event '.kind == "attestation.verdict"' .data.rule)" "${row%%|*}"
done
lacks "$state/events.jsonl" hunter2
lacks "$state/events.jsonl" "sr=$id_scope"

it 'stays at the same hub and says so, and moves with its data when the enrollment names another'
is "$(state_of dev-x leaf)" '["hub-a.azure-devices.net","initialAssignment"]'
is "$(state_of dev-x leaf)" '["hub-a.azure-devices.net","reprovisionedToInitialAssignment"]'
change dev-x '. + {allocationPolicy: "static", iotHubs: ["hub-b.azure-devices.net"], initialTwin: {properties: {desired: {fresh: true}}}}'
is "$(state_of dev-x leaf)" '["hub-b.azure-devices.net","deviceDataMigrated"]'
change dev-x '.iotHubs = ["hub-a.azure-devices.net"] | .reprovisionPolicy = {updateHubAssignment: true, migrateDeviceData: false}'
is "$(state_of dev-x leaf)" '["hub-a.azure-devices.net","deviceDataReset"]'
device_user="hub-a.azure-devices.net/dev-x/?api-version=2020-09-30" device dev-x leaf sub '$iothub/twin/res/#' 0 pub '$iothub/twin/GET/?$rid=1' '' 0 recv disconnect >"$scratch/out"
holds "$scratch/out" '"fresh":true'
change dev-x '.iotHubs = ["hub-b.azure-devices.net"] | .reprovisionPolicy = {updateHubAssignment: false, migrateDeviceData: false}'
is "$(state_of dev-x leaf)" '["hub-a.azure-devices.net","reprovisionedToInitialAssignment"]'

it 'ends as failed with 400208 when no hub that is named is linked'
change dev-x 'del(.reprovisionPolicy) | .iotHubs = ["hub-z.azure-devices.net"]'
is "$(failed_with dev-x leaf | jq -c '.[:2]')" '["failed",400208]'

it 'asks a webhook, and gives its payload to the device and its twin to the hub'
webhook() {
    change dev-x ". + {allocationPolicy: \"custom\", iotHubs: [\"hub-a.azure-devices.net\", \"hub-b.azure-devices.net\"],
        reprovisionPolicy: {updateHubAssignment: true, migrateDeviceData: false},
        customAllocationDefinition: {webhookUrl: \"$1\", apiVersion: \"2021-10-01\"}}"
}
webhook "http://127.0.0.1:$webhook_port/hub/hub-b.azure-devices.net?code=secret"
device dev-x leaf "${subscribe[@]}" pub "$put" '{"payload":{"model":7}}' 1 recv disconnect >"$scratch/out"
operation=$(body "$(sed -n 's/^MESSAGE //p' "$scratch/out")" | jq -er .operationId)
until_event dps.webhook
reply=$(body "$(poll dev-x leaf "$operation")")
is "$(jq -c '.registrationState | [.assignedHub, .substatus, .payload]' <<<"$reply")" '["hub-b.azure-devices.net","deviceDataReset",{"echo":{"model":7}}]'
asked=$(tail -n 1 "$scratch/webhook.log")
is "$(jq -c '[.deviceRuntimeContext.currentIotHubHostName, .deviceRuntimeContext.payload, .linkedHubs, .individualEnrollment.registrationId]' <<<"$asked")" \
    '["hub-a.azure-devices.net",{"model":7},["hub-a.azure-devices.net","hub-b.azure-devices.net"],"dev-x"]'
lacks "$scratch/webhook.log" secret
lacks "$state/events.jsonl" code=secret

it 'ends as failed with 400207 when the webhook refuses, is slow, is too large, is no JSON, or leads elsewhere'
for row in 'status/400|400' 'status/500|500' 'text|200' 'large|503' 'close|503' 'silent|408' 'redirect|302' 'hub/hub-z|200'; do
    webhook "http://127.0.0.1:$webhook_port/${row%|*}"
    seen=$(count '"kind":"dps.webhook"')
    reply=$(register dev-x leaf)
    operation=$(body "$reply" | jq -er .operationId)
    until_more '"kind":"dps.webhook"' "$seen"
    reply=$(body "$(poll dev-x leaf "$operation")")
    is "$row $(jq -c '[.status, .registrationState.errorCode, .registrationState.errorMessage]' <<<"$reply")" \
        "$row [\"failed\",400207,\"Custom allocation failed with status code: ${row#*|}\"]"
done
webhook 'http://192.0.2.1/api'
is "$(failed_with dev-x leaf)" '["failed",400207,"Custom allocation failed with status code: 503"]'
[[ $(last_event '.kind == "dps.webhook"' .data.trouble) == *192.0.2.1*--webhook-any-host* ]] || fail 'the refused host is not named'

it 'answers 409 to a second connection that registers the same id at once'
change dev-x '.allocationPolicy = "static" | del(.customAllocationDefinition)'
result scenario.set '{"registration_id":"dev-x","knobs":{"conflict_ms":600000,"polls_until_assigned":2}}' >/dev/null
mkfifo "$scratch/first"
device dev-x leaf "${subscribe[@]}" pub "$put" '' 1 recv closed >"$scratch/first" 2>/dev/null &
first=$!
started+=("$first")
exec {first_fd}<"$scratch/first"
until read -r -t 20 line <&"$first_fd" && [[ $line == MESSAGE* ]]; do :; done
[[ $line == *'/res/202/'* ]] || fail "$line"
reply=$(register dev-x leaf)
[[ $reply == '$dps/registrations/res/409/?$rid=1 '* ]] || fail "$reply"
is "$(body "$reply" | jq -c '[.errorCode, .message]')" '[409203,"Precondition failed."]'
kill "$first"
exec {first_fd}<&-
until_event connection.closed
result scenario.clear '{"registration_id":"dev-x"}' >/dev/null

it 'throttles with 429 and retry-after where quotas are on'
result scenario.set '{"registration_id":"dev-x","knobs":{"registrations_per_min":1,"polls_per_10_s":2,"polls_until_assigned":9}}' >/dev/null
device dev-x leaf "${subscribe[@]}" pub "$put" '' 1 recv pub "$get" '' 1 recv pub "$get" '' 1 recv pub "$get" '' 1 recv pub "$put" '' 1 recv disconnect >"$scratch/out" ||
    fail "$(cat "$scratch/out")"
is "$(sed -nE 's,^MESSAGE \$dps/registrations/res/([0-9]+)/.*,\1,p' "$scratch/out" | tr '\n' ' ')" '202 202 202 429 429 '
holds "$scratch/out" '&retry-after='
holds "$scratch/out" '"errorCode":429001'
result scenario.clear '{"registration_id":"dev-x"}' >/dev/null

it 'takes no body above 96 KB, and none for TPM'
large=$(head -c 99000 /dev/zero | tr '\0' ' ')
reply=$(request dev-x leaf "$put" "{\"payload\":\"$large\"}")
is "$(body "$reply" | jq -c .errorCode)" 400000
reply=$(request dev-x leaf "$put" '{"tpm":{"endorsementKey":"AAAA"}}')
is "$(body "$reply" | jq -c .errorCode)" 400000

it 'issues a certificate for a CSR, and the hub takes it'
make_key issued
openssl req -new -key "$scratch/issued.key" -subj /CN=dev-x -outform DER -out "$scratch/issued.csr" 2>/dev/null
csr_body="{\"csr\":\"$(base64 -w 0 "$scratch/issued.csr")\"}"
preview="$id_scope/registrations/dev-x/api-version=2025-07-01-preview"
device_user=$preview device dev-x leaf "${subscribe[@]}" pub "$put" "$csr_body" 1 recv pub "$get" '' 1 recv disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
chain=$(body "$(sed -n 's/^MESSAGE //p' "$scratch/out" | tail -n 1)" | jq -c .registrationState.issuedCertificateChain)
for i in 0 1 2; do
    jq -r ".[$i]" <<<"$chain" | base64 -d | openssl x509 -inform DER -out "$scratch/issued$i.pem"
done
openssl verify -x509_strict -purpose sslclient -CAfile "$scratch/issued2.pem" -untrusted "$scratch/issued1.pem" "$scratch/issued0.pem" >/dev/null
cp "$scratch/issued0.pem" "$scratch/issued.pem"
hub=$(last_event '.kind == "dps.assigned"' .data.assigned_hub)
device_user="$hub/dev-x/?api-version=2020-09-30" device dev-x issued disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
holds "$scratch/out" 'CONNACK 0'
reply=$(request dev-x leaf "$put" "$csr_body")
is "$(body "$reply" | jq -c .errorCode)" 400012
is "$(last_event '.kind == "dps.warning"' .data.rule)" register.csr

it 'knows where each device is after a restart'
change dev-x '.iotHubs = ["hub-b.azure-devices.net"]'
assign dev-x leaf
end_sim TERM
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE"
is "$(state_of dev-x leaf)" '["hub-b.azure-devices.net","reprovisionedToInitialAssignment"]'
end_sim TERM
