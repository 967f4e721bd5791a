#!/bin/bash
# azure-iot-provisioning-device(-mqtt) and azure-iot-device-mqtt, unchanged, against the simulator: each refusal as the client's own error, and what a server must
# never leave out.
set -euo pipefail
# shellcheck source=tests/interop/interop_lib.sh
. "$DPSBENCH_SOURCE/tests/interop/interop_lib.sh"
need azure-iot-provisioning-device azure-iot-provisioning-device-mqtt azure-iot-security-x509 azure-iot-security-symmetric-key azure-iot-device azure-iot-device-mqtt
export DPSBENCH=$DPSBENCH_BIN/dpsbench

# play PART: of device.js; the root is trusted unless trust says otherwise
play() {
    is "$(NODE_EXTRA_CA_CERTS=${trust-$(ready root_ca)} run_node device.js "$state" "$scratch" "$1" 2>"$scratch/$1.log" || cat "$scratch/$1.log")" "$1: done"
}

# turn ID KNOB=VALUE...
turn() {
    "$DPSBENCH" sim set "$@" --state "$state" >"$scratch/turn.out" 2>&1 || fail "sim set $*: $(cat "$scratch/turn.out")"
}

make_root root 'Interop Root'
ids=(good slow-polls immediate doubled late-puback with-payload closed reply-400 reply-401 reply-403 reply-404 reply-409 ends-failed reply-429 reply-500 poll-503
    body-text body-empty no-suback no-puback no-unsuback other-rid hub-device hub-stranger connack-{1,2,3,4,5})
for id in "${ids[@]}"; do
    sign "$id" "$id" root 'extendedKeyUsage=clientAuth'
done
make_self_signed stranger stranger
make_self_signed switched-off switched-off
start_sim "$scratch/sim"
"$DPSBENCH" az iot dps certificate create --certificate-name root --path "$scratch/root.pem" --verified true --state "$state" >/dev/null
"$DPSBENCH" az iot dps enrollment-group create --enrollment-id plant --ca-name root --state "$state" >/dev/null
"$DPSBENCH" az iot dps enrollment create --enrollment-id switched-off --attestation-type x509 --certificate-path "$scratch/switched-off.pem" \
    --provisioning-status disabled --state "$state" >/dev/null

it 'registers with X.509 as the SDK wants it: acknowledged, unsubscribed, ended by the client'
turn slow-polls polls_until_assigned=3 retry_after_s=1
turn immediate polls_until_assigned=0
turn doubled reply_times=2 retry_after_s=0
turn late-puback puback_comes=late ack_delay_ms=1500 retry_after_s=0
turn good retry_after_s=0
turn with-payload retry_after_s=0
play registers

it 'registers with symmetric keys, individual and derived from a group key; a wrong key is CONNACK 5'
openssl rand -base64 32 >"$scratch/individual.txt"
openssl rand -base64 32 >"$scratch/group.txt"
"$DPSBENCH" az iot dps enrollment create --enrollment-id key-individual --attestation-type symmetrickey --primary-key "$(<"$scratch/individual.txt")" \
    --secondary-key "$(<"$scratch/individual.txt")" --state "$state" >/dev/null
"$DPSBENCH" az iot dps enrollment-group create --enrollment-id key-group --primary-key "$(<"$scratch/group.txt")" \
    --secondary-key "$(<"$scratch/group.txt")" --state "$state" >/dev/null
printf '%s' key-member | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(openssl base64 -d -A -in "$scratch/group.txt" | od -An -tx1 | tr -d ' \n')" -binary |
    openssl base64 -A >"$scratch/derived.txt"
play keys

it 'gives each refusal as the error that the SDK has for it'
for code in 1 2 3 4 5; do
    turn "connack-$code" "connack=$code"
done
turn closed close_at=before-connack close_how=fin
for code in 400 401 403 404 409; do
    turn "reply-$code" "reply_status=$code"
done
turn ends-failed end_as=failed retry_after_s=0
play refusals

it 'is asked again after 429, 500 and 503, for as long as they come'
turn reply-429 reply_status=429 error_retry_after_s=1 fault_times=2 retry_after_s=0
turn reply-500 reply_status=500 error_retry_after_s=1 fault_times=1 retry_after_s=0
turn poll-503 poll_status=503 error_retry_after_s=1 fault_times=1 retry_after_s=0
play throttled
is "$(events '.kind == "dps.request" and .registration_id == "reply-429" and .data.operation == "register"' | wc -l)" 3

it 'knows the traps of the SDK: what a server leaves out ends it without a word, or with an exception that nobody can catch'
turn body-text reply_body=text
turn body-empty reply_body=empty
turn no-suback suback_comes=never
turn no-puback puback_comes=never retry_after_s=0
turn no-unsuback unsuback_comes=never retry_after_s=0
turn other-rid reply_rid=other
play traps

it 'is not trusted without its root'
trust=/dev/null play untrusted

it 'has the whole hub stage: telemetry, twin, desired properties, methods, messages'
# The SDK takes a port in the name of a hub, so the assigned one can be this very simulator.
"$DPSBENCH" az iot dps enrollment create --enrollment-id hub-device --attestation-type x509 --certificate-path "$scratch/hub-device.pem" \
    --iot-hubs "localhost:$(port dps)" --allocation-policy static --state "$state" >/dev/null
turn hub-device retry_after_s=0
play hub
is "$(last_event '.kind == "hub.telemetry" and .registration_id == "hub-device"' '.data.body.temperature')" 21

it 'refuses a stranger and a disabled device at the hub as the SDK knows it'
play hub-refusals
end_sim TERM

it 'ends the handshake with an alert under strict-tls, and the SDK says which'
make_key expired
openssl req -new -key "$scratch/expired.key" -subj /CN=expired -out "$scratch/expired.csr" 2>/dev/null
openssl x509 -req -in "$scratch/expired.csr" -CA "$scratch/root.pem" -CAkey "$scratch/root.key" -days -1 -out "$scratch/expired.pem" 2>/dev/null
start_sim "$scratch/sim" --profile strict-tls
play alert
end_sim TERM
