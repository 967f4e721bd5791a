#!/bin/bash
# The hub stage with real clients: dpsbench hub on one side, libmosquitto and Mosquitto's programs as devices on the other.
# shellcheck disable=SC2016  # $iothub and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

hub=h.azure-devices.net
cloud() {
    DPSBENCH_STATE=$state "$DPSBENCH_BIN/dpsbench" hub "$@"
}

# cloud_fails STATUS ARGUMENT...: with that exit status; its words in $scratch/err
cloud_fails() {
    local expected=$1 code=0
    shift
    cloud "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
    is "$code" "$expected"
}

# as_hub CERTIFICATE STEP...: dev-01 at its hub
as_hub() {
    local certificate=$1
    shift
    device_user="$hub/dev-01/?api-version=2021-04-12" device dev-01 "$certificate" "$@"
}

# in_background FILE COMMAND...: sets background
in_background() {
    local file=$1
    shift
    "$@" >"$file" 2>&1 &
    background=$!
    started+=("$background")
}

# hub_refuses CERTIFICATE RULE
hub_refuses() {
    local code=0
    as_hub "$1" disconnect >"$scratch/out" 2>&1 || code=$?
    is "$code" 5
    is "$(last_event '.kind == "hub.verdict"' .data.rule)" "$2"
}

# plain PROGRAM ID OPTION...: Mosquitto's own client as device ID, with $password or without a certificate; with become=exec in the place of a subshell
plain() {
    local program=$1 id=$2
    shift 2
    ${become:-} "$program" -h 127.0.0.1 -p "$(port dps)" --cafile "$(ready root_ca)" -V 311 -i "$id" -u "$hub/$id/?api-version=2021-04-12" "$@"
}

# token ID KEY-BASE64: valid for an hour; se first, as no client of Microsoft's has it
token() {
    local resource="$hub%2Fdevices%2F$1" expiry signature
    expiry=$(($(date +%s) + 3600))
    signature=$(printf '%s\n%s' "$resource" "$expiry" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(base64 -d <<<"$2" | xxd -p -c 100)" -binary | base64)
    printf 'SharedAccessSignature se=%s&sr=%s&sig=%s' "$expiry" "$resource" "$(jq -rn --arg sig "$signature" '$sig | @uri')"
}

make_root root 'e2e root'
sign leaf dev-01 root
sign rolled dev-01 root
sign by-ca dev-ca root
state="$scratch/sim"
write_certificate root-ca root
jq '.properties.isVerified = true' "$state/certificates/root-ca.json" >"$scratch/json"
mv "$scratch/json" "$state/certificates/root-ca.json"
write_group group-1 root-ca
jq --arg hub "$hub" '.iotHubs = [$hub]' "$state/enrollmentGroups/group-1.json" >"$scratch/json"
mv "$scratch/json" "$state/enrollmentGroups/group-1.json"
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE"

it 'refuses commands that cannot be, with the exit status for wrong usage'
cloud_fails 2 send dev-01
cloud_fails 2 send dev-01 a b
holds "$scratch/err" 'one argument too many'
cloud_fails 2 invoke dev-01 m '{'
cloud_fails 2 invoke dev-01 m --timeout 0
cloud_fails 2 show dev-01
holds "$scratch/err" "no hub knows device 'dev-01'"
cloud_fails 2 create dev-02
holds "$scratch/err" '--hub HOST is missing'
code=0
"$DPSBENCH_BIN/dpsbench" hub devices --state "$scratch/nowhere" 2>"$scratch/err" || code=$?
is "$code" 3
holds "$scratch/err" 'dpsbench-sim --state'

it 'lists the device that DPS has assigned'
assign dev-01 leaf
is "$(cloud devices --json | jq -r '.[] | "\(.deviceId) \(.hub) \(.authentication.type) \(.connectionState)"')" "dev-01 $hub selfSigned Disconnected"

it 'refuses a rolled leaf, which DPS takes, until the device registers with it'
hub_refuses rolled hub.thumbprint
assign dev-01 rolled
as_hub rolled disconnect >"$scratch/out"
hub_refuses leaf hub.thumbprint
assign dev-01 leaf

it 'shows telemetry, properties and connections to who watches'
in_background "$scratch/watched" env DPSBENCH_STATE="$state" "$DPSBENCH_BIN/dpsbench" hub watch dev-01 --count 4 --timeout 60
watcher=$background
until_line "$scratch/watched" 'watching*'
as_hub leaf pub 'devices/dev-01/messages/events/%24.ct=application%2Fjson&level=a%20b' '{"t":21}' 1 disconnect >"$scratch/out"
wait "$watcher"
holds "$scratch/watched" "connected  $hub"
holds "$scratch/watched" 'telemetry  8 bytes  {"t":21}  {"$.ct":"application/json","level":"a b"}'
holds "$scratch/watched" "disconnected  $hub"

it 'delivers messages, calls methods and tells desired properties to a device that is there'
known=$(wc -l <"$state/events.jsonl")
in_background "$scratch/device" as_hub leaf sub 'devices/dev-01/messages/devicebound/#' 1 sub '$iothub/methods/POST/#' 0 \
    sub '$iothub/twin/PATCH/properties/desired/#' 0 recv recv pub '$iothub/methods/res/201/?$rid=1' '{"done":true}' 0 recv disconnect
device_pid=$background
until [[ $(grep -c SUBACK "$scratch/device") == 3 ]]; do :; done
is "$(cloud send dev-01 hello --id m1 --property 'k=v 1' --content-type text/plain)" 'delivered m1'
is "$(cloud invoke dev-01 reboot '{"delay":1}')" '201 {"done":true}'
is "$(cloud desired dev-01 '{"interval":5}')" 'version 2, the device was told'
wait "$device_pid"
until_line "$state/events.jsonl" '*"kind":"hub.connection"*"disconnected"*' $((known + 1)) # the hub has heard of it
holds "$scratch/device" 'MESSAGE devices/dev-01/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices%2Fdev-01%2Fmessages%2Fdevicebound&%24.ct=text%2Fplain&iothub-ack=none&k=v%201 hello'
holds "$scratch/device" 'MESSAGE $iothub/methods/POST/reboot/?$rid=1 {"delay":1}'
holds "$scratch/device" 'MESSAGE $iothub/twin/PATCH/properties/desired/?$version=2 {"interval":5,"$version":2}'

it 'says so when the device is not there'
cloud_fails 1 invoke dev-01 reboot
holds "$scratch/err" '404103'
cloud_fails 1 send dev-01 late --timeout 1
holds "$scratch/err" 'did not take it in 1 s'
is "$(cloud send dev-01 - --timeout 0 --id m2 <<<'from a file')" 'enqueued m2'
is "$(cloud desired dev-01 '{"interval":null,"mode":"x"}')" 'version 3, the device is not there, or has not subscribed'

it 'keeps messages and twins over kill -9'
kill -9 "$sim_pid"
wait "$sim_pid" || true
exec {ready_fd}<&-
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE"
is "$(cloud show dev-01 --json | jq -c '[.cloudToDeviceMessageCount, .twin.properties.desired]')" '[2,{"mode":"x","$version":3}]'

it 'delivers what waited when the device subscribes, and keeps that subscription for a session that is not clean'
keeping() {
    as_hub leaf --keeps-session "$@"
}
keeping sub 'devices/dev-01/messages/devicebound/#' 1 recv recv disconnect >"$scratch/out"
is "$(sed -n 's/^MESSAGE [^ ]* //p' "$scratch/out" | tr '\n' '|')" 'late|from a file|'
is "$(last_event '.kind == "mqtt.connack"' .data.is_session_present)" true
is "$(cloud send dev-01 again --timeout 0 --id m3)" 'enqueued m3'
keeping recv disconnect >"$scratch/out"
holds "$scratch/out" ' again'
is "$(last_event '.kind == "hub.message"' .data.state)" completed

it 'refuses an assigned device as often as a knob asks'
"$DPSBENCH_BIN/dpsbench" sim set dev-01 hub_connack=5 fault_times=1 --state "$state" >"$scratch/out"
assign dev-01 leaf
hub_refuses leaf hub.scenario
as_hub leaf disconnect >"$scratch/out"
"$DPSBENCH_BIN/dpsbench" sim clear dev-01 --state "$state" >"$scratch/out"

it 'drops and refuses a device that is disabled'
in_background "$scratch/device" as_hub leaf closed
device_pid=$background
until_line "$scratch/device" 'CONNACK 0'
cloud update dev-01 --status disabled --json | jq -r .status >"$scratch/out"
is "$(cat "$scratch/out")" disabled
wait "$device_pid"
hub_refuses leaf hub.disabled
cloud update dev-01 --status enabled --tags '{"site":"roof"}' >"$scratch/out"
as_hub leaf disconnect >"$scratch/out"

it 'takes SAS tokens that a key of the device signed'
key=$(cloud create dev-sas --hub "$hub" --json | jq -r .authentication.symmetricKey.secondaryKey)
events_topic=devices/dev-sas/messages/events/
plain mosquitto_pub dev-sas -P "$(token dev-sas "$key")" -t "$events_topic" -m '{"sas":1}' -q 1
is "$(last_event '.kind == "hub.telemetry"' .data.body.sas)" 1
plain mosquitto_pub dev-sas -P "$(token dev-sas "$(head -c 32 /dev/zero | base64)")" -t "$events_topic" -n >"$scratch/out" 2>&1 && fail 'let in'
holds "$scratch/out" 'not authorised'
is "$(last_event '.kind == "hub.verdict"' .data.rule)" hub.token-signature
plain mosquitto_pub dev-sas -t "$events_topic" -n >"$scratch/out" 2>&1 && fail 'let in'
is "$(last_event '.kind == "hub.verdict"' .data.rule)" hub.other-kind

it 'takes a chain to a verified CA'
cloud create dev-ca --hub "$hub" --auth ca >"$scratch/out"
device_user="$hub/dev-ca/?api-version=2021-04-12" device dev-ca by-ca pub devices/dev-ca/messages/events/ '{"ca":1}' 1 disconnect >"$scratch/out"
is "$(last_event '.kind == "hub.telemetry"' .data.body.ca)" 1

it 'marks retained messages and wills, and closes at QoS 2'
secret=$(token dev-sas "$key")
plain mosquitto_pub dev-sas -P "$secret" -t "$events_topic" -m '{"kept":1}' -r -q 1
is "$(last_event '.kind == "hub.telemetry"' '.data.properties."mqtt-retain"')" true
become='exec' in_background "$scratch/device" plain mosquitto_sub dev-sas -P "$secret" -t '$iothub/methods/POST/#' --will-topic "${events_topic}x=1" --will-payload '{"gone":1}'
device_pid=$background
until_event mqtt.suback dev-sas
kill -9 "$device_pid"
wait "$device_pid" || true
until_event hub.telemetry '"gone":1'
is "$(last_event '.kind == "hub.telemetry"' '.data.properties | "\(.x) \(."iothub-MessageType")"')" '1 Will'
plain mosquitto_pub dev-sas -P "$secret" -t "$events_topic" -m x -q 2 >"$scratch/out" 2>&1 && fail 'QoS 2 went through'
is "$(last_event '.kind == "connection.closed"' .data.how)" violation

it 'closes at a message that is too large with its properties, and not at one that just fits'
head -c 262134 /dev/zero >"$scratch/large"
plain mosquitto_pub dev-sas -P "$secret" -t "${events_topic}name=123456" -f "$scratch/large" -q 1
is "$(last_event '.kind == "hub.telemetry"' .data.payload_bytes)" 262134
plain mosquitto_pub dev-sas -P "$secret" -t "${events_topic}name=1234567" -f "$scratch/large" -q 1 >"$scratch/out" 2>&1 && fail 'it went through'
is "$(last_event '.kind == "mqtt.violation"' .data.reason)" 'a message that is too large with its properties'

it 'keeps the devices of each hub apart'
cloud create dev-01 --hub other.net >"$scratch/out"
cloud_fails 2 show dev-01
holds "$scratch/err" "several hubs know device 'dev-01': $hub, other.net; say which one: --hub HOST"
cloud_fails 2 desired dev-01 '{"a":1}'
cloud_fails 2 create dev-01 --hub OTHER.net
holds "$scratch/err" '409001'
cloud_fails 2 invoke dev-01 reboot --hub third.net
holds "$scratch/err" "hub 'third.net' does not know device 'dev-01' (IoT Hub: 404001 DeviceNotFound); it is at $hub, other.net"
in_background "$scratch/watched" env DPSBENCH_STATE="$state" "$DPSBENCH_BIN/dpsbench" hub watch dev-01 --hub OTHER.net --json --count 1 --timeout 60
watcher=$background
until_line "$scratch/watched" 'watching*'
cloud desired dev-01 '{"a":1}' --hub "$hub" >"$scratch/out"
is "$(cloud desired dev-01 '{"a":1}' --hub other.net)" 'version 2, the device is not there, or has not subscribed'
wait "$watcher"
is "$(sed -n '/^{/p' "$scratch/watched" | jq -r .data.hub)" other.net
cloud update dev-01 --hub other.net --status disabled >"$scratch/out"
is "$(cloud devices --json | jq -r '.[] | select(.deviceId == "dev-01") | "\(.hub) \(.status)"' | tr '\n' '|')" "$hub enabled|other.net disabled|"
is "$(cloud devices --hub other.net --json | jq -r '.[].deviceId')" dev-01
as_hub leaf disconnect >"$scratch/out"
cloud delete dev-01 --hub other.net
is "$(cloud show dev-01 --json | jq -r .hub)" "$hub"

it 'forgets a device that is deleted'
cloud delete dev-sas
cloud_fails 2 show dev-sas

it 'has no token and no key in events and log'
lacks "$state/events.jsonl" SharedAccessSignature
lacks "$state/events.jsonl" "$key"
lacks "$scratch/sim.log" SharedAccessSignature
end_sim TERM
