#!/bin/bash
# The control plane as a client sees it: errors, objects and etags, scenarios, leases, lanes; Mosquitto killed under the simulator.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

# refusal CODE TEXT METHOD [PARAMS]: a request that must fail
refusal() {
    local code=$1 text=$2 reply
    shift 2
    reply=$(control "$@")
    is "$(jq -r .ok <<<"$reply") $reply" "false $reply"
    is "$(jq -r .error.code <<<"$reply") $reply" "$code $reply"
    [[ $(jq -r .error.text <<<"$reply") == *"$text"* ]] || fail "'$text' is not in $reply"
}

make_self_signed alone dev-alone
make_root root 'e2e root'
start_sim "$scratch/sim" --time-scale "$DPSBENCH_TIME_SCALE"

it 'says what it is'
is "$(result simulator.info | jq -c '[.id_scope, .host, .profile, .sessions, .lost_events, .dps]')" \
    "[\"$id_scope\",\"global.azure-devices-provisioning.net\",\"azure\",0,0,\"$(ready dps)\"]"
is "$(result simulator.info | jq -r .mosquitto)" "$({ mosquitto -h || true; } | sed -n 's/^mosquitto version //p')"
is "$(result simulator.info | jq -c '[.openssl, .libmosquitto, .libuv | test("^[0-9]+[.][0-9]+")]')" '[true,true,true]'

it 'lists the knobs of the help'
result knob.list | jq -r '.knobs[].name' >"$scratch/knobs"
"$sim_program" --help >"$scratch/help"
while read -r knob; do holds "$scratch/help" "$knob"; done <"$scratch/knobs"
holds "$scratch/knobs" is_silent

it 'refuses what is no request, and what it does not know, with the mend'
name=e2e-broken
is "$(mosquitto_rr -h 127.0.0.1 -p "$(port control)" --cafile "$(ready control_ca)" --cert "$(ready control_cert)" --key "$(ready control_key)" -V 311 -q 1 -W 20 -i $name \
    -e dpsbench/v1/control/$name/reply -t dpsbench/v1/control/$name/request -m '{"v":1,' | jq -c '[.id, .ok, .error.code]')" '[null,false,"protocol"]'
refusal usage "there is no method 'synch'; did you mean 'sync'" synch
refusal usage "there is no parameter 'registrationID'" enrollment.get '{"registrationID":"x"}'
refusal usage "there is no knob 'retry_after'; did you mean 'retry_after_s'" scenario.set '{"registration_id":"x","knobs":{"retry_after":1}}'
refusal not-found "no-such" enrollment.get '{"registrationId":"no-such"}'
refusal not-found "lease 'none'" scenario.set '{"registration_id":"x","knobs":{},"lease":"none"}'
refusal usage 'ttl_s' lane.lease '{"ttl_s":0}'
refusal usage "there is no kind of lane" lane.lease '{"kind":"x"}'

it 'keeps an enrollment in the folder, and knows a stale etag'
enrollment=$(jq -nc --rawfile pem "$scratch/alone.pem" '{registrationId: "dev-alone", attestation: {type: "x509", x509: {clientCertificates: {primary: {certificate: $pem}}}}}')
etag=$(result enrollment.put "{\"enrollment\":$enrollment}" | jq -er .etag)
[[ -f $state/enrollments/dev-alone.json ]] || fail 'no file'
is "$(result enrollment.list | jq -c '[.value[].registrationId]')" '["dev-alone"]'
result enrollment.put "{\"enrollment\":$enrollment,\"etag\":\"$etag\"}" >/dev/null
refusal conflict etag enrollment.put "{\"enrollment\":$enrollment,\"etag\":\"$etag\"}"
is "$(last_event '.kind == "state.changed"' '[.data.what, .data.id, .data.action] | @json')" '["enrollment","dev-alone","put"]'
assign dev-alone alone
is "$(result registration.get '{"registrationId":"dev-alone"}' | jq -r .status)" assigned
result registration.delete '{"registrationId":"dev-alone"}' >/dev/null
refusal not-found dev-alone registration.get '{"registrationId":"dev-alone"}'

it 'leases a lane with a server PKI of its own: devices meet it, and its root alone is right'
recipe=$DPSBENCH_SOURCE/certs/recipes/server/p256.yaml
lane=$(result lane.lease "$(jq -nc --rawfile recipe "$recipe" '{server_recipe: $recipe}')")
lease=$(jq -er .lease <<<"$lane")
# The chain as sent: the leaf first, then what leads to the root, which stays at home.
jq -er .chain <<<"$lane" >"$scratch/chain.pem"
is "$(grep -c BEGIN "$scratch/chain.pem")" 2
openssl verify -CAfile <(jq -er .root_ca <<<"$lane") -untrusted "$scratch/chain.pem" "$scratch/chain.pem" >/dev/null || fail 'the chain does not lead to root_ca'
is "$(jq -r .recipe <<<"$lane")" server/p256
jq -r .root_ca <<<"$lane" >"$scratch/lane-root.pem"
device_port=$(jq -r .address <<<"$lane")
device_port=${device_port##*:}
device_root=$scratch/lane-root.pem assign dev-alone alone
is "$(last_event '.kind == "dps.assigned"' .lane)" "$(jq -r .lane <<<"$lane")"
if device dev-alone alone disconnect >"$scratch/out" 2>&1; then fail 'the root of the main lane was good for the leased lane'; fi

it 'gives the lane back its main PKI with lane.configure'
result lane.configure "{\"lease\":\"$lease\",\"server_recipe\":null}" >/dev/null
device dev-alone alone disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
result lane.release "{\"lease\":\"$lease\"}" >/dev/null
if device dev-alone alone disconnect >"$scratch/out" 2>&1; then fail 'the port of a released lane is still open'; fi
unset device_port
refusal not-found "$lease" lease.renew "{\"lease\":\"$lease\",\"ttl_s\":5}"

it 'leases a host name on the main port'
lane=$(result lane.lease "$(jq -nc --rawfile recipe "$recipe" '{kind: "host", host: "run-1.example.org", server_recipe: $recipe}')")
refusal busy run-1.example.org lane.lease '{"kind":"host","host":"run-1.example.org"}'
refusal usage "needs 'host'" lane.lease '{"kind":"host"}'
jq -r .root_ca <<<"$lane" >"$scratch/lane-root.pem"
openssl s_client -connect "$(ready dps)" -servername run-1.example.org -verify_hostname run-1.example.org -CAfile "$scratch/lane-root.pem" -verify_return_error </dev/null >"$scratch/out" 2>&1 ||
    fail "$(cat "$scratch/out")"
device dev-alone alone disconnect >"$scratch/out" || fail 'the main lane is disturbed'
result lane.release "{\"lease\":\"$(jq -r .lease <<<"$lane")\"}" >/dev/null

it 'leases the main lane to one run at a time, and puts its identity back'
lane=$(result lane.lease "$(jq -nc --rawfile recipe "$recipe" '{kind: "exclusive", server_recipe: $recipe}')")
is "$(jq -r .lane <<<"$lane")" main
refusal busy 'main lane' lane.lease '{"kind":"exclusive"}'
if device dev-alone alone disconnect >"$scratch/out" 2>&1; then fail 'the main lane still shows its own PKI'; fi
result lane.release "{\"lease\":\"$(jq -r .lease <<<"$lane")\"}" >/dev/null
device dev-alone alone disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"

it 'refuses a broken recipe with its line, and opens no lane for it'
refusal syntax ':2:' lane.lease '{"server_recipe":"format: 1\nmembres: {}\n"}'

it 'lets everything under a lease vanish when nobody renews it'
lease=$(result lane.lease '{"ttl_s":2}' | jq -er .lease)
leased=$(jq -c '.registrationId = "dev-leased"' <<<"$enrollment")
result enrollment.put "{\"enrollment\":$leased,\"lease\":\"$lease\"}" >/dev/null
result scenario.set "{\"registration_id\":\"dev-alone\",\"knobs\":{\"retry_after_s\":9},\"lease\":\"$lease\"}" >/dev/null
missing "$state/enrollments/dev-leased.json"
until_event lane.released '"reason":"expired"'
refusal not-found dev-leased enrollment.get '{"registrationId":"dev-leased"}'
reply=$(register dev-alone alone)
[[ $reply == *'retry-after=3 '* ]] || fail "the scenario outlived its lease: $reply"

it 'answers in the order of the requests'
name=e2e-order
steps=(sub "dpsbench/v1/control/$name/reply" 1)
for i in {1..30}; do steps+=(pub "dpsbench/v1/control/$name/request" "{\"v\":1,\"id\":\"$i\",\"method\":\"sync\"}" 1); done
for i in {1..30}; do steps+=(recv); done
"$DPSBENCH_TESTS/mqtt_device" --port "$(port control)" --root "$(ready control_ca)" --cert "$(ready control_cert)" --key "$(ready control_key)" --id $name \
    "${steps[@]}" disconnect >"$scratch/out" || fail "$(cat "$scratch/out")"
is "$(sed -n 's/^MESSAGE [^ ]* //p' "$scratch/out" | jq -r .id | tr '\n' ' ')" "$(seq -s ' ' 1 30) "

it 'lets nobody in without a client certificate of its own CA'
mosquitto_pub -h 127.0.0.1 -p "$(port control)" --cafile "$(ready control_ca)" -t dpsbench/v1/control/x/request -m x >"$scratch/out" 2>&1 && fail 'let in without a certificate'
mosquitto_pub -h 127.0.0.1 -p "$(port control)" --cafile "$(ready control_ca)" --cert "$scratch/alone.pem" --key "$scratch/alone.key" -t dpsbench/v1/control/x/request -m x \
    >"$scratch/out" 2>&1 && fail 'let in with a foreign certificate'

it 'survives the death of Mosquitto: broker.down, broker.up, devices are served again'
# Who hears first of the new one, its watcher or a connection that tries again, differs from time to time.
for _ in 1 2 3 4 5 6 7 8; do
    known=$(wc -l <"$state/events.jsonl")
    broker=$(pgrep -P "$sim_pid" -x mosquitto)
    kill -KILL "$broker"
    until_line "$state/events.jsonl" '*"kind":"broker.up"*' $((known + 1))
done
holds "$state/events.jsonl" '"broker.down"'
assign dev-alone alone
is "$(jq -s 'map(.seq) | . == [range(1; length + 1)]' "$state/events.jsonl")" true
end_sim TERM

it 'takes a proof of possession through the folder: a certificate that is marked as verified counts'
state="$scratch/sim two"
sign leaf dev-leaf root
write_certificate root-ca root
write_group group-1 root-ca
start_sim "$state"
[[ $(register dev-leaf leaf) == *'/res/401/'* ]] || fail 'an unverified CA counted'
jq '.properties.isVerified = true' "$state/certificates/root-ca.json" >"$scratch/verified.json"
cp "$scratch/verified.json" "$state/certificates/root-ca.json"
kill -HUP "$sim_pid"
until_event state.changed '"action":"reread"'
assign dev-leaf leaf
end_sim TERM
