#!/bin/bash
# dpsbench probe against a real simulator, what it records, and the simulator that has the recorded conversation again.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
code=0
cd "$scratch"

# probe ARGUMENT...: with the device's files; output in $scratch/out and err, exit code in $code.
probe() {
    code=0
    "$dpsbench" probe --cert dev/leaf.crt.pem --key dev/leaf.key.pem "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
}

# exits CODE: the last probe ended so.
exits() {
    [[ $code == "$1" ]] || fail "expected exit code $1, got $code:"$'\n'"$(cat "$scratch/out" "$scratch/err")"
}

# enroll ID: individually, by the device's own leaf.
enroll() {
    mkdir -p sim/enrollments
    jq -n --arg id "$1" --rawfile pem dev/leaf.crt.pem \
        '{registrationId: $id, attestation: {type: "x509", x509: {clientCertificates: {primary: {certificate: $pem}}}}}' >"sim/enrollments/$1.json"
}

# conversation FILE: codes, topics and bodies of the service, without times.
conversation() {
    jq -c 'select(.step == "connack" or .step == "suback" or .step == "message") | [.stage, .step, .code, .name, .body]' "$1"
}

"$dpsbench" certs make device/root-leaf --registration-id dev-01 --out dev >/dev/null 2>&1
enroll dev-01
start_program sim "$DPSBENCH_BIN/dpsbench-sim" --state sim --server-key p-256 --time-scale 50

it 'registers, connects to the hub, and says that the credentials are good'
probe --registration-id dev-01 --state sim --record good.jsonl
exits 0
holds out 'CONNACK 0, accepted'
holds out '/registrations/res/202/?'
holds out 'these credentials are good'
is "$(grep -c '^hub .*< CONNACK 0' out)" 1

it 'tells a refusal with its code, its meaning and its mend, and sees the service close'
probe --registration-id nobody --state sim --record refused.jsonl
exits 1
holds out "401, error 401002 'Invalid certificate.'"
holds out 'mend: compare thumbprint'
holds out 'the connection ended'
is "$(jq -r 'select(.step == "closed") | .from' refused.jsonl)" service

it 'tells why it does not trust a server: another root, another name'
probe --registration-id dev-01 --state sim --root dev/root.crt.pem
exits 1
holds out 'NOT trusted: unable to get local issuer certificate'
holds out 'TLS alert 48, unknown CA'
holds out 'server-not-trusted'
probe --registration-id dev-01 --id-scope x --root sim/pki/root.crt.pem --endpoint wrong.example.org --connect "$(ready sim dps)"
exits 1
holds out 'hostname mismatch'

it 'a server that is not there, or says nothing, is no answer (3)'
probe --registration-id dev-01 --id-scope x --endpoint 127.0.0.1:1
exits 3
holds out 'DPS did not answer'
probe --registration-id dev-01 --id-scope x --endpoint no-such-host.invalid
exits 3
holds out "look up 'no-such-host.invalid'"
"$dpsbench" probe --help >help
holds help 'dpsbench-sim --replay'

it 'says how far it came, what it could not read, and does not wait longer than it may'
# turned KNOB OUTCOME TEXT: what the probe says of it. Seconds of retry-after are the probe's own here.
turned() {
    "$dpsbench" sim set --state sim dev-01 "$1"
    probe --registration-id dev-01 --state sim --timeout "${4:-30}"
    "$dpsbench" sim clear --state sim dev-01
    holds out "$2"
    holds out "$3"
}
turned close_at=before-connack no-answer 'the TLS handshake with DPS stood, and CONNECT was not answered'
turned close_at=after-suback no-answer 'DPS took the connection, and gave no answer then'
turned close_when='at the 2nd PUBLISH' no-answer 'DPS took the connection, and gave no answer then'
turned reply_body=text passing-trouble 'DPS answers 202 with a body that is no JSON'
turned reply_status=401 refused-by-dps "401, error 401"
turned hub_link=nested refused-by-dps 'the credentials are good, and the hub refuses DPS'
turned assigned_hub_bytes=300 passing-trouble '(300 bytes), which is no name of a host'
turned retry_after_s=999999999999 passing-trouble 'asked again in 999999999999 s (retry-after): --timeout comes first'
turned retry_after_text=99999999999999999999 passing-trouble 'asked again in 1000000000000 s'

it 'prints one JSON document'
probe --registration-id dev-01 --state sim --json
exits 0
is "$(jq -r '.v, .outcome' out | paste -sd ' ')" '1 accepted'
is "$(jq -r '[.steps[] | select(.stage == "hub" and .step == "connack") | .code] | join(",")' out)" 0
is "$(jq -r '[.steps[] | select(.step == "server")][0].chain | length > 0' out)" true

it 'keeps no name, address or id in a recording'
lacks good.jsonl dev-01
lacks good.jsonl "$(ready sim id_scope)"
lacks good.jsonl dpsbench-hub
lacks good.jsonl 127.0.0.1
holds good.jsonl '{registration_id}'

it 'records what ends in the handshake'
export DPSBENCH_STATE=sim
"$dpsbench" sim set --lane main tls_alert=unknown_ca tls_alert_at='at ChangeCipherSpec' net_fault=stall net_at='at ChangeCipherSpec' stall_ms=10000
probe --registration-id dev-01 --state sim --record alert.jsonl
exits 1
"$dpsbench" sim clear --lane main
"$dpsbench" sim set --lane main net_fault=reset net_at='after ServerHelloDone'
probe --registration-id dev-01 --state sim --record reset.jsonl
exits 3
"$dpsbench" sim clear --lane main
probe --registration-id dev-01 --state sim --root dev/root.crt.pem --record device.jsonl
exits 1
unset DPSBENCH_STATE
jq -c 'select(.stage != "hub" or (.step == "tls-message" and (.name != "Finished" or .from == "device")))' good.jsonl >hub.jsonl
printf '{"t_ms":60000,"stage":"hub","step":"tls-alert","from":"service","code":40}\n' >>hub.jsonl
stop_program "${started[0]}" TERM

it 'has the recorded conversation again, with another device'
for name in good refused; do
    start_program "$name" "$DPSBENCH_BIN/dpsbench-sim" --state "$name-state" --server-key p-256 --time-scale 50 --replay "$name.jsonl"
    probe --registration-id other-7 --state "$name-state" --record "$name-again.jsonl"
    exits "$([[ $name == good ]] && echo 0 || echo 1)"
    [[ $name == refused ]] || holds out "DPS assigned 'other-7'"
    is "$(conversation "$name-again.jsonl")" "$(conversation "$name.jsonl")"
    stop_program "${started[-1]}" TERM
done

# tls_end FILE: how the service ended the handshake, and behind what. A device may still say an alert to a server that is gone.
tls_end() {
    jq -r 'select(.step == "tls-message" or (.step == "tls-alert" and .from == "service") or .step == "closed") | .step + " " + .from + " " + (.code | tostring)' "$1" | tail -n 3
}

it 'ends the handshake as it was recorded, of DPS and of the hub'
for name in alert reset hub; do
    start_program "$name" "$DPSBENCH_BIN/dpsbench-sim" --state "$name-state" --server-key p-256 --time-scale 50 --replay "$name.jsonl"
    probe --registration-id other-7 --state "$name-state" --record "$name-again.jsonl"
    stop_program "${started[-1]}" TERM
done
is "$(tls_end alert-again.jsonl)" "$(tls_end alert.jsonl)"
holds alert-again.jsonl '"step":"tls-alert","from":"service","code":48'
[[ $(jq -s '([.[] | select(.step == "tls-alert") | .t_ms] | .[0]) - ([.[] | select(.step == "tls-message") | .t_ms] | last) >= 3' alert-again.jsonl) == true ]] ||
    fail "the alert came early: $(cat alert-again.jsonl)"
is "$(tls_end reset-again.jsonl)" "$(tls_end reset.jsonl)"
holds reset-state/events.jsonl '"how":"reset"'
holds hub-again.jsonl '"stage":"hub","step":"tls-alert","from":"service","code":40'
is "$(conversation hub-again.jsonl)" "$(conversation hub.jsonl)"

it 'ends a handshake of TLS 1.3 behind the Finished of the device, by the recorded alert'
head -n 1 good.jsonl >late.jsonl
cat >>late.jsonl <<'EOF'
{"t_ms":0,"stage":"dps","step":"tls-message","from":"device","name":"ClientHello"}
{"t_ms":9,"stage":"dps","step":"tls","name":"TLSv1.3"}
{"t_ms":10,"stage":"dps","step":"connect"}
{"t_ms":209,"stage":"dps","step":"tls-alert","from":"service","code":45}
{"t_ms":210,"stage":"dps","step":"closed","from":"service"}
EOF
start_program late "$DPSBENCH_BIN/dpsbench-sim" --state late-state --server-key p-256 --replay late.jsonl
mkfifo nothing
exec 9<>nothing # it is the service that ends the connection
for version in 3 2; do
    timeout 60 openssl s_client -connect "$(ready late dps)" "-tls1_$version" -cert dev/leaf.crt.pem -key dev/leaf.key.pem <&9 >out 2>&1 || true
    holds out 'alert certificate expired'
done
stop_program "${started[-1]}" TERM

it 'has the side of the service again where the device ended the handshake; that device ends it as before, another goes on'
start_program device "$DPSBENCH_BIN/dpsbench-sim" --state device-state --server-key p-256 --time-scale 50 --replay device.jsonl
probe --registration-id other-7 --state device-state --root dev/root.crt.pem --record device-again.jsonl
exits 1
is "$(jq -c 'select(.step == "tls-alert") | [.from, .code]' device-again.jsonl)" '["device",48]'
lacks device-state/events.jsonl replay.went-on
holds device-state/events.jsonl '"kind":"tls.alert"'
probe --registration-id other-7 --state device-state
exits 1
holds out 'CONNACK 5'
holds device-state/events.jsonl '"rule":"replay.went-on","text":"the recorded device ended this handshake with the alert unknown_ca'
stop_program "${started[-1]}" TERM

it 'has it at its times: CONNACK and SUBACK are late, the second poll of a device is answered late, and again when it asks more often'
head -n 1 good.jsonl >slow.jsonl
cat >>slow.jsonl <<'EOF'
{"t_ms":0,"stage":"dps","step":"connect"}
{"t_ms":500,"stage":"dps","step":"connack","code":0}
{"t_ms":510,"stage":"dps","step":"subscribe","name":"$dps/registrations/res/#"}
{"t_ms":910,"stage":"dps","step":"suback","code":1}
{"t_ms":920,"stage":"dps","step":"publish","name":"$dps/registrations/PUT/iotdps-register/?$rid=1"}
{"t_ms":1620,"stage":"dps","step":"message","name":"$dps/registrations/res/202/?$rid=1&retry-after=1","body":"{\"operationId\":\"o\",\"status\":\"assigning\"}"}
{"t_ms":2720,"stage":"dps","step":"publish","name":"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=o"}
{"t_ms":2730,"stage":"dps","step":"message","name":"$dps/registrations/res/202/?$rid=1&retry-after=1","body":"{\"operationId\":\"o\",\"status\":\"assigning\"}"}
EOF
start_program slow "$DPSBENCH_BIN/dpsbench-sim" --state slow-state --server-key p-256 --replay slow.jsonl
probe --registration-id other-7 --state slow-state --json --timeout 5
# late STEP ANSWER MS: not before it.
late() {
    jq -e --arg step "$1" --arg answer "$2" --argjson ms "$3" '[.steps[] | select(.step == $step or .step == $answer) | .t_us] | .[1] - .[0] >= $ms * 1000' \
        out >/dev/null || fail "$2 came early: $(jq -c '.steps[] | [.step, .t_us]' out)"
}
late connect connack 490
late subscribe suback 390
is "$(jq -r 'select(.kind == "mqtt.connack" or .kind == "mqtt.suback") | .kind' slow-state/events.jsonl | paste -sd ' ')" 'mqtt.connack mqtt.suback'
[[ $(jq '[.steps[] | select(.step == "publish" or .step == "message") | .t_us] | .[1] - .[0] >= 690000' out) == true ]] ||
    fail "the reply came early: $(jq -c '.steps[] | select(.step == "publish" or .step == "message") | [.step, .t_us]' out)"
exits 3
holds slow-state/events.jsonl replay.exhausted
stop_program "${started[-1]}" TERM

it 'closes without a CONNACK when the recorded service did so'
head -n 1 good.jsonl >closed.jsonl
printf '%s\n' '{"t_ms":0,"stage":"dps","step":"connect"}' '{"t_ms":600,"stage":"dps","step":"closed"}' >>closed.jsonl
start_program closed "$DPSBENCH_BIN/dpsbench-sim" --state closed-state --server-key p-256 --replay closed.jsonl
probe --registration-id other-7 --state closed-state --json
late connect closed 590
stop_program "${started[-1]}" TERM

it 'has every recording of fixtures/recordings, with a device that is none of ours'
declare -A said=([ca-not-found]="401, error 401002 'CA certificate not found.'" [assigned-individual]="DPS assigned 'foo-7' to hub-0001"
    [custom-allocation-failed]='error 400207' [enrollment-disabled]='status "disabled"' [client-id-mismatch]='CONNACK 5')
for file in "$DPSBENCH_SOURCE"/fixtures/recordings/*.jsonl; do
    name=$(basename "$file" .jsonl)
    start_program fixture "$DPSBENCH_BIN/dpsbench-sim" --state "fixture-$name" --server-key p-256 --time-scale 50 --replay "$file"
    probe --registration-id foo-7 --state "fixture-$name"
    holds out "${said[$name]:?}"
    stop_program "${started[-1]}" TERM
done

it 'refuses what is no recording, with its line'
printf '{"v":1,"kind":"recording"}\n{"t_ms":1,"stage":"dps","step":"conect"}\n' >broken.jsonl
code=0
"$DPSBENCH_BIN/dpsbench-sim" --state broken-state --replay broken.jsonl >out 2>err || code=$?
is "$code" 2
holds err "broken.jsonl:2: 'step' is 'conect'"
missing broken-state/ready.json

it 'names wrong arguments'
for words in '--registration-id a' '--id-scope a' '--registration-id a --id-scope b --endpoint x:0' '--registration-id a --id-scope b --timeout 0' \
    '--registration-id a --state sim --endpoint x' '--registration-id a --id-scope b --connect localhost:1'; do
    # shellcheck disable=SC2086
    probe $words
    exits 2
    is "$(wc -c <out)" 0
done
probe --registration-id a --state nowhere
exits 3
holds err nowhere
