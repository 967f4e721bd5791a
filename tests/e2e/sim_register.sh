#!/bin/bash
# Registrations as devices see them, with Mosquitto's own clients: assigned, refused on each surface, disabled; SIGHUP; the hub.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

make_self_signed alone dev-alone
make_self_signed other dev-alone
make_root root 'e2e root'
sign leaf dev-leaf root
sign wrong-name somebody-else root

state="$scratch/sim"
write_individual dev-alone alone
write_certificate root-ca root
write_group group-1 root-ca
echo '{"registrationId": "dev-broken", ' >"$scratch/broken.json"
cp "$scratch/broken.json" "$state/enrollments/dev-broken.json"
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE"

it 'names a broken enrollment file and serves the rest'
holds "$scratch/sim.log" 'dev-broken.json'

it 'assigns a device of an individual enrollment'
assign dev-alone alone
is "$(jq -c '.registrationState | [.x509, .registrationId, .deviceId, .assignedHub, .status, .substatus]' <<<"$assigned")" \
    '[{},"dev-alone","dev-alone","dpsbench-hub.azure-devices.net","assigned","initialAssignment"]'
jq -r .operationId <<<"$assigned" | grep -qE '^5\.[0-9a-f]{16}\.[0-9a-f-]{36}$' || fail "$assigned"
is "$(last_event '.kind == "dps.assigned"' '[.registration_id, .data.assigned_hub, .data.enrollment.kind, .data.polls] | @json')" \
    '["dev-alone","dpsbench-hub.azure-devices.net","individual",1]'

it 'refuses another certificate of the same name with res/401 after CONNACK 0'
reply=$(register dev-alone other)
[[ $reply == '$dps/registrations/res/401/?$rid=1 '* ]] || fail "$reply"
is "$(body "$reply" | jq -r '[.errorCode, (.trackingId | length)] | @json')" '[401002,36]'
is "$(last_event '.kind == "attestation.verdict"' .data.surface)" res401

it 'closes after a refusal, at the latest after close_after_refusal_ms'
device dev-alone other "${subscribe[@]}" pub "$put" '' 1 recv closed >"$scratch/out" || fail "$(cat "$scratch/out")"
is "$(last_event '.kind == "connection.closed"' '[.data.by, .data.how] | @json')" '["service","refused"]'

it 'grants the filter of DPS alone, with QoS 1 at most, and warns'
device dev-alone alone sub '$dps/registrations/res/#' 2 sub '#' 1 sub devices/x/messages/devicebound/# 1 disconnect >"$scratch/out"
is "$(grep SUBACK "$scratch/out" | tr '\n' ' ')" 'SUBACK 1 SUBACK 128 SUBACK 128 '
is "$(last_event '.kind == "dps.warning"' .data.rule)" subscribe.filter

it 'serves a client that keeps its session, subscribes with QoS 0 and sends no body, as the sample of Nordic does'
device dev-alone alone --keeps-session sub '$dps/registrations/res/#' 0 pub "$put" '' 1 recv pub "$get" '' 1 recv disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
holds "$scratch/out" '"status":"assigned"'

it 'refuses a group whose CA is not verified, and says so'
reply=$(register dev-leaf leaf)
[[ $reply == '$dps/registrations/res/401/?$rid=1 '* ]] || fail "$reply"
[[ $(last_event '.kind == "attestation.verdict"' .data.text) == *root-ca* ]] || fail 'the verdict does not name the certificate'

it 'takes a proof of possession through the control plane, and assigns then'
code=$(result certificate.verificationCode '{"name":"root-ca"}' | jq -er .properties.verificationCode)
sign proof "$code" root
result certificate.verify "$(jq -nc --rawfile pem "$scratch/proof.pem" '{name: "root-ca", certificate: $pem}')" | jq -e .properties.isVerified >/dev/null
assign dev-leaf leaf
is "$(jq -r .registrationState.x509.enrollmentGroupId <<<"$assigned")" group-1

it 'shows the same refusal as CONNACK 5 under the profile connack, to a client that is not ours'
result scenario.set '{"registration_id":"dev-alone","knobs":{"profile":"connack"}}' >/dev/null
refused dev-alone other
is "$(last_event '.kind == "mqtt.connack"' .data.return_code)" 5
result scenario.clear '{"registration_id":"dev-alone"}' >/dev/null

it 'refuses a CONNECT by its own rules with CONNACK 5 and names both sides'
for row in 'connect.id-scope|0neXXXX/registrations/dev-alone/api-version=2019-03-31|dev-alone' \
    "connect.client-id|$id_scope/registrations/dev-alone/api-version=2019-03-31|dev-other" \
    "connect.api-version|$id_scope/registrations/dev-alone/|dev-alone" 'connect.user-name|dev-alone|dev-alone'; do
    IFS='|' read -r rule user_name client_id <<<"$row"
    device_user=$user_name device_client_id=$client_id refused dev-alone alone
    is "$(last_event '.kind == "attestation.verdict"' .data.rule)" "$rule"
done

it 'says in text what is wrong when the CN is not the registration id'
reply=$(register dev-leaf wrong-name)
[[ $reply == '$dps/registrations/res/401/?$rid=1 '* ]] || fail "$reply"
text=$(last_event '.kind == "attestation.verdict"' .data.text)
[[ $text == *dev-leaf* && $text == *somebody-else* ]] || fail "$text"

it 'answers a disabled enrollment with 202 and then 200 disabled; SIGHUP rereads the folder'
jq '.provisioningStatus = "disabled"' "$state/enrollments/dev-alone.json" >"$scratch/disabled.json"
cp "$scratch/disabled.json" "$state/enrollments/dev-alone.json"
kill -HUP "$sim_pid"
until_event state.changed '"action":"reread"'
reply=$(register dev-alone alone)
[[ $reply == '$dps/registrations/res/202/'* ]] || fail "$reply"
reply=$(poll dev-alone alone "$(body "$reply" | jq -er .operationId)")
is "$(body "$reply" | jq -c '[.status, .registrationState]')" '["disabled",{"registrationId":"dev-alone","status":"disabled"}]'

it 'answers an unknown operation with 404 404203'
reply=$(poll dev-leaf leaf 5.0000000000000000.none)
[[ $reply == '$dps/registrations/res/404/?$rid=2 '* ]] || fail "$reply"
is "$(body "$reply" | jq -c '[.errorCode, .message]')" '[404203,"Operation not found."]'

it 'checks the register body, and echoes any request id'
odd='$dps/registrations/PUT/iotdps-register/?$rid=any text'
reply=$(request dev-leaf leaf "$odd" '{"registrationId":"dev-leaf","payload":{"a":1}}')
[[ $reply == '$dps/registrations/res/202/?$rid=any text&retry-after=3 '* ]] || fail "$reply"
reply=$(request dev-leaf leaf "$odd" '{"registrationId":')
is "$(body "${reply/any text/any_text}" | jq -c .errorCode)" 400012
reply=$(request dev-leaf leaf "$odd" '{"registrationId":"dev-alone"}')
is "$(body "${reply/any text/any_text}" | jq -c .errorCode)" 400004

it 'counts assignment in polls, and puts retry-after into each 202'
result scenario.set '{"registration_id":"dev-leaf","knobs":{"polls_until_assigned":2,"retry_after_s":7}}' >/dev/null
reply=$(register dev-leaf leaf)
[[ $reply == '$dps/registrations/res/202/?$rid=1&retry-after=7 '* ]] || fail "$reply"
operation=$(body "$reply" | jq -er .operationId)
reply=$(poll dev-leaf leaf "$operation")
[[ $reply == '$dps/registrations/res/202/?$rid=2&retry-after=7 '* ]] || fail "$reply"
is "$(body "$reply" | jq -c .registrationState)" '{"registrationId":"dev-leaf","status":"assigning"}'
reply=$(poll dev-leaf leaf "$operation")
[[ $reply == '$dps/registrations/res/200/'* ]] || fail "$reply"
result scenario.clear '{"registration_id":"dev-leaf"}' >/dev/null

it 'lets the assigned device into the hub, and nobody else'
hub=dpsbench-hub.azure-devices.net
telemetry=(-h 127.0.0.1 -p "$(port dps)" --cafile "$(ready root_ca)" -V 311 -q 1 -t devices/dev-leaf/messages/events/ -m '{"temperature":25.0}')
mosquitto_pub "${telemetry[@]}" --cert "$scratch/leaf.pem" --key "$scratch/leaf.key" -i dev-leaf -u "$hub/dev-leaf/?api-version=2020-09-30"
is "$(last_event '.kind == "hub.telemetry"' '[.data.device_id, .data.body.temperature] | @json')" '["dev-leaf",25]'
for row in "hub.unknown-device|dev-nobody|$hub/dev-nobody/?api-version=2020-09-30|leaf" "hub.other-hub|dev-leaf|other.azure-devices.net/dev-leaf/?api-version=2020-09-30|leaf" \
    "hub.thumbprint|dev-leaf|$hub/dev-leaf/?api-version=2020-09-30|alone" "hub.client-id|dev-other|$hub/dev-leaf/?api-version=2020-09-30|leaf"; do
    IFS='|' read -r rule client_id user_name certificate <<<"$row"
    mosquitto_pub "${telemetry[@]}" --cert "$scratch/$certificate.pem" --key "$scratch/$certificate.key" -i "$client_id" -u "$user_name" >"$scratch/out" 2>&1 && fail "$rule: let in"
    holds "$scratch/out" 'not authorised'
    is "$(last_event '.kind == "hub.verdict"' .data.rule)" "$rule"
done

it 'answers twin requests'
as_hub() {
    device_user="$hub/dev-leaf/?api-version=2020-09-30" device dev-leaf leaf sub '$iothub/twin/res/#' 0 "$@"
}
as_hub pub '$iothub/twin/GET/?$rid=4711' '' 0 recv disconnect >"$scratch/out"
holds "$scratch/out" 'MESSAGE $iothub/twin/res/200/?$rid=4711 {"desired":{"$version":1},"reported":{"$version":1}}'
as_hub pub '$iothub/twin/PATCH/properties/reported/?$rid=5' '{"a":1}' 0 recv pub '$iothub/twin/GET/?$rid=6' '' 0 recv disconnect >"$scratch/out"
holds "$scratch/out" 'MESSAGE $iothub/twin/res/204/?$rid=5&$version=2 '
holds "$scratch/out" '"reported":{"a":1,"$version":2}'

it 'grants the four filters that the sample of Nordic subscribes to, and no other'
as_hub sub devices/dev-leaf/messages/devicebound/# 0 sub '$iothub/twin/PATCH/properties/desired/#' 0 sub '$iothub/methods/POST/#' 0 \
    sub devices/dev-other/messages/devicebound/# 0 disconnect >"$scratch/out"
is "$(grep SUBACK "$scratch/out" | tr '\n' ' ')" 'SUBACK 0 SUBACK 0 SUBACK 0 SUBACK 0 SUBACK 128 '

it 'closes the connection of a device that publishes as another one'
as_hub pub devices/dev-other/messages/events/ '{}' 0 closed >"$scratch/out"
is "$(last_event '.kind == "connection.closed"' .data.how)" violation

it 'drops the first connection of a device when a second one comes'
mkfifo "$scratch/first"
as_hub closed >"$scratch/first" &
first=$!
started+=("$first")
exec {first_fd}<"$scratch/first"
until read -r -t 20 line <&"$first_fd" && [[ $line == SUBACK* ]]; do :; done
as_hub disconnect >"$scratch/out"
read -r -t 20 line <&"$first_fd"
is "$line" CLOSED
wait "$first"
is "$(events '.kind == "connection.closed" and .data.how == "taken_over"' | wc -l)" 1

it 'has no private key and no secret in events and log'
lacks "$state/events.jsonl" 'PRIVATE KEY'
lacks "$scratch/sim.log" 'PRIVATE KEY'

it 'numbers its events without a hole'
result sync >/dev/null
is "$(jq -s 'map(.seq) | . == [range(1; length + 1)]' "$state/events.jsonl")" true
end_sim TERM
