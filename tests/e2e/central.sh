#!/bin/bash
# The gateway guide's four ways: individual enrollment and enrollment group, at DPS and at IoT Central, from its own openssl commands to "assigned" and a
# telemetry message that was seen. Its group ways point to a page for the verification and device certificates: those are made as the forum thread does.
# Then what IoT Central does to devices beyond that. The devices are a client of libmosquitto at DPS, and mosquitto_pub at the hub.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail

# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

az() {
    "$DPSBENCH_BIN/dpsbench" az iot dps "$@" 2>"$scratch/stderr"
}

central() {
    "$DPSBENCH_BIN/dpsbench" central "$@" 2>"$scratch/stderr"
}

# refuses TEXT COMMAND...: exit code 2, and the text on stderr.
refuses() {
    local text=$1 code=0
    shift
    "$@" >"$scratch/out" || code=$?
    is "$code" 2
    holds "$scratch/stderr" "$text"
}

# --- the commands of the guide and of the thread ---

# root CN: `openssl req -x509 ...` of the guide, its prompts answered: a Common Name in lower case, and one field beside it
root() {
    printf 'IT\n.\n.\nExample\n.\n%s\n.\n' "$1" |
        openssl req -x509 -newkey rsa:2048 -keyout root-private-key.pem -nodes -out root-cert.pem >>"$scratch/openssl.log" 2>&1
}

# verification CODE: the thread's steps 8 and 9 with the guide's root
verification() {
    {
        openssl req -new -key root-private-key.pem -out verification.csr -subj "/CN=$1"
        openssl x509 -req -in verification.csr -CA root-cert.pem -CAkey root-private-key.pem -CAcreateserial -out verificationCert.pem \
            -days 1 -sha256
    } 2>>"$scratch/openssl.log"
}

# device_certificate ID: the thread's steps 3 to 5 with the guide's names; the devices of one folder share a key, to save time
device_certificate() {
    {
        [[ -e device-private-key.pem ]] || openssl genrsa -out device-private-key.pem 2048
        openssl req -new -key device-private-key.pem -out device.csr -subj "/CN=$1"
        openssl x509 -req -in device.csr -CA root-cert.pem -CAkey root-private-key.pem -CAcreateserial -out device.crt -days 500 -sha256
    } 2>>"$scratch/openssl.log"
}

# way NAME: a folder of its own
way() {
    mkdir -p "$scratch/$1"
    cd "$scratch/$1"
}

# --- a gateway ---

tls() {
    printf '%s\n' -h 127.0.0.1 -p "$(port dps)" --cafile "$(ready root_ca)" --cert "$1" --key "$2" -V 311
}

# ask SCOPE ID CERT KEY TOPIC BODY: a request to DPS; the reply as "TOPIC BODY"
ask() {
    "$DPSBENCH_TESTS/mqtt_device" --port "$(port dps)" --root "$(ready root_ca)" --cert "$3" --key "$4" --id "$2" \
        --user "$1/registrations/$2/api-version=2019-03-31" "${subscribe[@]}" pub "$5" "$6" 1 recv disconnect >"$scratch/device.out" ||
        fail "$(cat "$scratch/device.out")"
    sed -n 's/^MESSAGE //p' "$scratch/device.out"
}

# register_at SCOPE ID CERT KEY [BODY]: the register request, and the status request when there is an operation; sets reply
register_at() {
    local operation
    reply=$(ask "$1" "$2" "$3" "$4" "$put" "${5:-"{\"registrationId\":\"$2\"}"}")
    operation=$(body "$reply" | jq -r '.operationId // empty')
    [[ -z $operation ]] || reply=$(ask "$1" "$2" "$3" "$4" "${get/\{operationId\}/$operation}" ' ')
}

# telemetry HUB ID CERT KEY: mosquitto_pub at the hub; its exit status
telemetry() {
    local options code=0
    mapfile -t options < <(tls "$3" "$4")
    mosquitto_pub "${options[@]}" -q 1 -i "$2" -u "$1/$2/?api-version=2021-04-12" -t "devices/$2/messages/events/" -m '{"temperature":21}' \
        >"$scratch/pub.out" 2>&1 || code=$?
    printf '%s' "$code"
}

# connected SCOPE ID CERT KEY [BODY]: assigned, and its telemetry seen; sets hub
connected() {
    register_at "$@"
    is "$(body "$reply" | jq -r .status) $reply" "assigned $reply"
    hub=$(body "$reply" | jq -r .registrationState.assignedHub)
    is "$(telemetry "$hub" "$2" "$3" "$4")" 0
    until_event hub.telemetry "\"device_id\":\"$2\""
    is "$(last_event ".kind == \"hub.telemetry\" and .data.device_id == \"$2\"" '.data.body.temperature')" 21
}

# turned_away CODE RULE SCOPE ID CERT KEY [BODY]: res/401 with that errorCode, by that rule
turned_away() {
    local code=$1 rule=$2
    shift 2
    register_at "$@"
    [[ $reply == '$dps/registrations/res/401/?$rid=1 '* ]] || fail "$reply"
    is "$(body "$reply" | jq -r .errorCode)" "$code"
    is "$(last_event ".kind == \"central.device\" and .data.device_id == \"$2\"" '.data.rule')" "$rule"
}

state=$scratch/state
export DPSBENCH_STATE=$state
mkdir "$state"

it 'prepares an application before any simulator runs'
central app create --app-id guide --id-scope 0ne00CE0001 --device-templates '[{"modelId":"dtmi:example:gateway;1"}]' >app.json
is "$(jq -c '[.name, .idScope, .autoApprove, (.hubs | length)]' app.json)" '["guide","0ne00CE0001",true,2]'
refuses "exists already" central app create --app-id guide
refuses "'Guide' is not" central app create --app-id Guide
refuses "is that of application 'guide'" central app create --app-id other --id-scope 0ne00CE0001
refuses "application 'gide' does not exist" central app show --app-id gide
scope=0ne00CE0001
start_sim "$state"
is "$(central app list | jq -c '[.[].name]')" '["guide"]'

it 'way 1: IoT Hub DPS individual enrollment'
way dps-individual
root gateway0001
az enrollment create --enrollment-id gateway0001 --attestation-type x509 --certificate-path root-cert.pem --device-id gateway0001 >/dev/null
connected "$id_scope" gateway0001 root-cert.pem root-private-key.pem
is "$(az enrollment show --eid gateway0001 | jq -r .registrationState.status)" assigned

it 'way 2: IoT Hub DPS enrollment group'
way dps-group
root dpsgrouproot
etag=$(az certificate create -n guide-root -p root-cert.pem | jq -r .etag)
az certificate generate-verification-code -n guide-root -e "$etag" >asked.json
verification "$(jq -r .properties.verificationCode asked.json)"
is "$(az certificate verify -n guide-root -p verificationCert.pem -e "$(jq -r .etag asked.json)" | jq .properties.isVerified)" true
az enrollment-group create --eid guide-group --ca-name guide-root >/dev/null
device_certificate gateway0002
connected "$id_scope" gateway0002 device.crt device-private-key.pem
is "$(az enrollment-group registration show --rid gateway0002 | jq -r .status)" assigned

it 'way 3: IoT Central individual enrollment, the same certificate as primary and secondary'
way central-individual
root gateway0003
refuses "no device 'gateway0003'" central device attestation create --app-id guide --device-id gateway0003 --certificate-path root-cert.pem
is "$(central device create --app-id guide --device-id gateway0003 --template 'dtmi:example:gateway;1' | jq -r .deviceStatus)" registered
central device attestation create --app-id guide --device-id gateway0003 --cp root-cert.pem --scp root-cert.pem >/dev/null
connected "$scope" gateway0003 root-cert.pem root-private-key.pem
is "$hub" iotc-guide-1.azure-devices.net
is "$(central device show --app-id guide -d gateway0003 | jq -r .deviceStatus)" provisioned

it 'way 4: IoT Central enrollment group, verified'
way central-group
root centralgrouproot
central enrollment-group create --app-id guide --group-id line-1 --certificate-path root-cert.pem >/dev/null
device_certificate gateway0004
register_at "$scope" gateway0004 device.crt device-private-key.pem
is "$(body "$reply" | jq -r .errorCode)" 401002
is "$(last_event '.kind == "attestation.verdict" and .registration_id == "gateway0004"' .data.rule)" ca.not-verified
verification "$(central enrollment-group generate-verification-code --app-id guide --group-id line-1 | jq -r .properties.verificationCode)"
is "$(central enrollment-group verify-certificate --app-id guide --group-id line-1 --path verificationCert.pem | jq .properties.isVerified)" true
connected "$scope" gateway0004 device.crt device-private-key.pem '{"registrationId":"gateway0004","payload":{"modelId":"dtmi:example:gateway;1"}}'
is "$(central device show --app-id guide -d gateway0004 | jq -r '[.deviceStatus, .template] | join(" ")')" 'provisioned dtmi:example:gateway;1'

it 'each ID scope has its own enrollments'
register_at "$id_scope" gateway0004 device.crt device-private-key.pem
is "$(body "$reply" | jq -r .errorCode)" 401002

it 'a device without a template is unassociated; the older iotcModelId and a gateway are understood'
device_certificate gateway0005
connected "$scope" gateway0005 device.crt device-private-key.pem
is "$(central device show --app-id guide -d gateway0005 | jq -r .deviceStatus)" unassociated
connected "$scope" gateway0005 device.crt device-private-key.pem \
    '{"payload":{"iotcModelId":"dtmi:example:gateway;1","iotcGateway":{"iotcGatewayId":"gateway0004"}}}'
is "$(central device show --app-id guide -d gateway0005 | jq -r '[.deviceStatus, .gateway] | join(" ")')" 'provisioned gateway0004'

it 'a blocked device gets 401 with 400209, and its hub refuses it'
is "$(central device block --app-id guide -d gateway0005 | jq -r .deviceStatus)" blocked
is "$(telemetry "$hub" gateway0005 device.crt device-private-key.pem)" 5
turned_away 400209 central.blocked "$scope" gateway0005 device.crt device-private-key.pem
is "$(central device unblock --app-id guide -d gateway0005 | jq -r .deviceStatus)" provisioned
connected "$scope" gateway0005 device.crt device-private-key.pem

it 'a device that was moved is refused by its hub until it has registered again'
central device move --app-id guide -d gateway0005 >/dev/null
is "$(telemetry "$hub" gateway0005 device.crt device-private-key.pem)" 5
connected "$scope" gateway0005 device.crt device-private-key.pem
is "$hub" iotc-guide-2.azure-devices.net
is "$(result hub.show '{"deviceId":"gateway0005"}' | jq -r '[.hub, .status] | join(" ")')" "$hub enabled" # and nowhere else
central device move --app-id guide -d gateway0005 >/dev/null
is "$(result hub.show '{"deviceId":"gateway0005"}' | jq -r '[.hub, .status] | join(" ")')" "$hub disabled"
central device move --app-id guide -d gateway0005 --iot-hubs "$hub" >/dev/null
is "$(telemetry "$hub" gateway0005 device.crt device-private-key.pem)" 0

it 'without automatic approval a new device waits, and comes in when it is approved'
central app update --app-id guide --auto-approve false >/dev/null
device_certificate gateway0006
turned_away 400209 central.not-approved "$scope" gateway0006 device.crt device-private-key.pem
is "$(central device list --app-id guide | jq -r '.[] | select(.id == "gateway0006") | .deviceStatus')" waitingForApproval
central device approve --app-id guide --device-id gateway0006 >/dev/null
connected "$scope" gateway0006 device.crt device-private-key.pem

it 'a device that nobody created has letters, digits and dashes in its id'
device_certificate gateway.0007
register_at "$scope" gateway.0007 device.crt device-private-key.pem
is "$(body "$reply" | jq -r .errorCode)" 400004
central device create --app-id guide --device-id gateway.0007 >/dev/null
connected "$scope" gateway.0007 device.crt device-private-key.pem

it 'an individual enrollment wants the device id as the common name of subject and issuer'
central device create --app-id guide --device-id gateway0008 >/dev/null
device_certificate gateway0008
central device attestation create --app-id guide --device-id gateway0008 --cp device.crt >/dev/null
turned_away 401002 central.common-names "$scope" gateway0008 device.crt device-private-key.pem

it 'applications, devices and what they registered survive the simulator; a new one serves at once'
end_sim TERM
start_sim "$state"
is "$(central device show --app-id guide -d gateway0003 | jq -r .deviceStatus)" provisioned
is "$(result registration.get '{"registrationId":"gateway0003","application":"guide"}' | jq -r .status)" assigned
is "$(result registration.list '{"enrollmentGroupId":"line-1","application":"guide"}' | jq -c '[.value[].registrationId]')" \
    '["gateway.0007","gateway0004","gateway0005","gateway0006"]'
is "$(telemetry iotc-guide-1.azure-devices.net gateway0003 ../central-individual/root-cert.pem ../central-individual/root-private-key.pem)" 0
central app create --app-id second --id-scope 0ne00CE0002 >/dev/null
central device create --app-id second --device-id gateway0001 >/dev/null
central device attestation create --app-id second --device-id gateway0001 --cp ../dps-individual/root-cert.pem >/dev/null
connected 0ne00CE0002 gateway0001 ../dps-individual/root-cert.pem ../dps-individual/root-private-key.pem
refuses "'IOTC-GUIDE-2.azure-devices.net' belongs to application 'guide' already" central app update --app-id second --iot-hubs IOTC-GUIDE-2.azure-devices.net

it 'a device id that the plain service has too is another device at each hub'
is "$(telemetry dpsbench-hub.azure-devices.net gateway0001 ../dps-individual/root-cert.pem ../dps-individual/root-private-key.pem)" 0
central device block --app-id second -d gateway0001 >/dev/null
is "$(telemetry "$hub" gateway0001 ../dps-individual/root-cert.pem ../dps-individual/root-private-key.pem)" 5
is "$(telemetry dpsbench-hub.azure-devices.net gateway0001 ../dps-individual/root-cert.pem ../dps-individual/root-private-key.pem)" 0
central device delete --app-id second --device-id gateway0001
is "$(central device list --app-id second)" '[]'
is "$(result hub.list "{\"hub\":\"$hub\"}" | jq '.value | length')" 0
is "$(result hub.show '{"deviceId":"gateway0001"}' | jq -r .hub)" dpsbench-hub.azure-devices.net
turned_away 400209 central.no-device 0ne00CE0002 gateway0001 ../dps-individual/root-cert.pem ../dps-individual/root-private-key.pem
