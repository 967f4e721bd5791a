#!/bin/bash
# Plain MQTT clients as devices: mqtt.js 5, paho for Python, libpaho-mqtt for C, mosquitto_sub and mosquitto_pub. Each registers, and each is refused.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/interop/interop_lib.sh
. "$DPSBENCH_SOURCE/tests/interop/interop_lib.sh"
need mqtt

make_self_signed good good
make_self_signed stranger stranger
make_self_signed rejected rejected
start_sim "$scratch/sim"
write_individual good good
write_individual rejected rejected
kill -HUP "$sim_pid"
until_event state.changed reread
result scenario.set '{"registration_id": "rejected", "knobs": {"connack": 5}}' >/dev/null

it 'mqtt.js 5'
is "$(run_node plain.js "$state" "$scratch" good)" assigned
is "$(run_node plain.js "$state" "$scratch" stranger)" 401002
is "$(run_node plain.js "$state" "$scratch" rejected || true)" 'error 5'

it 'paho for Python'
python=(timeout 60 /usr/bin/python3 "$DPSBENCH_SOURCE/tests/interop/plain.py" "$state" "$scratch")
if /usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null; then
    is "$("${python[@]}" good)" assigned
    is "$("${python[@]}" stranger)" 401002
    is "$("${python[@]}" rejected)" 'connack 5'
else
    not_tested python3-paho-mqtt
fi

it 'libpaho-mqtt for C'
paho() {
    timeout 60 "$DPSBENCH_TESTS/interop_paho" "$(port dps)" "$(ready root_ca)" "$scratch/$1.pem" "$scratch/$1.key" "$1" "$id_scope/registrations/$1/api-version=2019-03-31"
}
if [[ -x $DPSBENCH_TESTS/interop_paho ]]; then
    is "$(paho good | cut -d' ' -f2- | jq -r .status)" assigned
    is "$(paho stranger | cut -d' ' -f2- | jq -r .errorCode)" 401002
    is "$(paho rejected || true)" 'connack 5'
else
    not_tested libpaho-mqtt-dev
fi

it 'mosquitto_pub and mosquitto_sub: each does its half of a registration'
mosquitto=(-h localhost -p "$(port dps)" --cafile "$(ready root_ca)" -V 311 --cert "$scratch/good.pem" --key "$scratch/good.key" -i good -q 1
    -u "$id_scope/registrations/good/api-version=2019-03-31")

mosquitto_pub "${mosquitto[@]}" -t '$dps/registrations/PUT/iotdps-register/?$rid=by-pub' -m '' || fail "mosquitto_pub: $?"
until_event dps.request '"rid":"by-pub"'

code=0
mosquitto_sub "${mosquitto[@]}" -t '$dps/registrations/res/#' -W 1 -d >"$scratch/sub.out" 2>&1 || code=$?
is "$code" 27 # it timed out: nothing came, and nobody refused it
holds "$scratch/sub.out" 'Subscribed (mid: 1): 1'
refused rejected rejected
end_sim TERM
