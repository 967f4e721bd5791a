#!/bin/bash
# What no device should send, against one simulator: each gets the answer that the table says, an event names it, and the next device is served as before.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

make_self_signed good dev-good
state=$scratch/sim
write_individual dev-good good
start_sim "$state" --time-scale "$DPSBENCH_TIME_SCALE"

# hex TEXT: its bytes; text_field TEXT: with the two bytes of its length before it.
hex() {
    printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}
text_field() {
    printf '%04x%s' "$(LC_ALL=C printf '%s' "$1" | wc -c)" "$(hex "$1")"
}
# packet FIRST-BYTE BODY: with its remaining length
packet() {
    local left=$((${#2} / 2)) length='' byte
    while :; do
        byte=$((left % 128)) left=$((left / 128))
        ((left == 0)) || byte=$((byte | 128))
        length+=$(printf '%02x' "$byte")
        ((left > 0)) || break
    done
    printf '%s%s%s' "$1" "$length" "$2"
}
# connect CLIENT-ID USER-NAME
connect() {
    packet 10 "00044d5154540482003c$(text_field "$1")$(text_field "$2")"
}
hello=$(connect dev-good "$id_scope/registrations/dev-good/api-version=2019-03-31")

# send HEX [OPTION-OF-S_CLIENT]...: over TLS, until the simulator closes; prints what it answered.
send() {
    local bytes=$1 code=0
    shift
    # shellcheck disable=SC2001,SC2059 # the format is the bytes
    printf "$(sed 's/../\\x&/g' <<<"$bytes")" | timeout 30 openssl s_client -quiet -connect "$(ready dps)" -servername global.azure-devices-provisioning.net \
        -CAfile "$(ready root_ca)" -cert "$scratch/good.pem" -key "$scratch/good.key" "$@" 2>"$scratch/s_client" | od -An -v -tx1 | tr -d ' \n' || code=$?
    ((code != 124)) || fail "the simulator did not close"
}


# breaks WHEN < REASON|HEX...: each alone, before CONNECT or in a session; a good device between them. Then the events, in the order of the table.
breaks() {
    local when=$1 reason bytes answer=''
    local -i count=0 before
    before=$(events '.kind == "mqtt.violation"' | wc -l)
    [[ $when == connect ]] || answer=20020000
    : >"$scratch/wanted"
    while IFS='|' read -r reason bytes; do
        story="$when: $reason"
        is "$(send "${answer:+$hello}${bytes// /}")" "$answer"
        printf '%s, %s\n' "$reason" "$when" >>"$scratch/wanted"
        count+=1
        ((count % 8)) || assign dev-good good
    done
    events '.kind == "mqtt.violation"' | tail -n +$((before + 1)) | jq -r .data.reason >"$scratch/reasons"
    events '.kind == "connection.closed" and .data.how == "violation"' | tail -n +$((before + 1)) | jq -r .data.stage >"$scratch/stages"
    paste -d, "$scratch/reasons" "$scratch/stages" | sed 's/,\([a-z]*\)$/, \1/' >"$scratch/got"
    diff "$scratch/wanted" "$scratch/got" >"$scratch/diff" || fail "$(cat "$scratch/diff")"
    assign dev-good good
}

it 'closes without CONNACK, and names why, whoever breaks MQTT before it'
breaks connect <<'TABLE'
PINGREQ before CONNECT|c000
PUBLISH before CONNECT|3003 0001 61
SUBSCRIBE before CONNECT|8206 0001 0001 61 00
DISCONNECT before CONNECT|e000
reserved before CONNECT|0000
CONNECT with flags 1|110d 0004 4d515454 04 02 0000 0001 64
CONNECT with its reserved flag set|100d 0004 4d515454 04 03 0000 0001 64
CONNECT with a password but no user name|1010 0004 4d515454 04 42 0000 0001 64 0001 70
CONNECT with a protocol name that is not MQTT|100d 0004 4d515458 04 02 0000 0001 64
CONNECT with 1 bytes too many|100e 0004 4d515454 04 02 0000 0001 64 78
the client id is not UTF-8 without U+0000|100d 0004 4d515454 04 02 0000 0001 00
the client id is not UTF-8 without U+0000|100f 0004 4d515454 04 02 0000 0003 eda080
the packet ends inside its client id|100d 0004 4d515454 04 02 0000 0009 64
CONNECT with will QoS 3|1013 0004 4d515454 04 1e 0000 0001 64 0001 77 0001 78
a will with an empty topic|1012 0004 4d515454 04 0e 0000 0001 64 0000 0001 78
a remaining length of more than four bytes|10 ffffffff 01
CONNECT of 268435455 bytes; the limit is 131072|10 ffffff7f
TABLE

it 'closes whoever breaks it in a session'
breaks session <<'TABLE'
a second CONNECT|100d 0004 4d515454 04 02 0000 0001 64
CONNACK from a device|2002 0000
SUBACK from a device|9003 0001 00
UNSUBACK from a device|b002 0001
PINGRESP from a device|d000
PUBREC from a device|5002 0001
PUBREL from a device|6202 0001
PUBCOMP from a device|7002 0001
reserved from a device|0000
reserved from a device|f000
PUBLISH with QoS 2|3405 0001 61 0001
PUBLISH with QoS 3|3605 0001 61 0001
PUBLISH with DUP at QoS 0|3803 0001 61
packet id 0|3205 0001 61 0000
an empty topic|3002 0000
a wildcard in a topic|3003 0001 23
a wildcard in a topic|3007 0005 612f2b2f62
the topic is not UTF-8 without U+0000|3003 0001 ff
the topic is not UTF-8 without U+0000|3005 0003 610062
PUBLISH of 3 bytes is too short for its topic|3003 0002 61
PUBLISH of 1 bytes is too short for its topic|3001 00
PUBLISH with a payload of 262145 bytes; the limit is 262144|30 848010 0001 61
a remaining length of more than four bytes|30 8080808001
an empty filter|8205 0001 0000 00
a misplaced wildcard in a filter|8207 0001 0002 6123 00
the filter is not UTF-8 without U+0000|8206 0001 0001 c0 00
SUBSCRIBE with flags 0|8006 0001 0001 61 00
SUBSCRIBE with QoS 3|8206 0001 0001 61 03
SUBSCRIBE without a filter|8202 0001
UNSUBSCRIBE without a filter|a202 0001
PINGREQ with flags 0 and 1 bytes|c001 78
PINGREQ with flags 1 and 0 bytes|c100
PUBACK with flags 0 and 3 bytes|4003 0001 78
DISCONNECT with flags 0 and 1 bytes|e001 00
PUBLISH to 'no/go', where this device may not publish|3007 0005 6e6f2f676f
TABLE

it 'refuses MQTT 3.1, MQTT 5 and versions that there are not, each in the words of its version'
# version PROTOCOL LEVEL MORE ANSWER CODE: a CONNECT of that version; MORE: behind the keepalive.
version() {
    local body
    body="$(text_field "$1")$2 02 003c $3"
    is "$(send "$(packet 10 "${body// /}")c000")" "$4"
    is "$(last_event '.kind == "mqtt.connect"' .data.protocol_level)" "$((16#$2))"
    is "$(last_event '.kind == "mqtt.connack"' .data.return_code)" "$5"
    is "$(last_event '.kind == "connection.closed"' .data.how)" refused
    assign dev-good good
}
version MQIsdp 03 "$(text_field dev-good)" 20020001 1
version MQTT 05 "00$(text_field dev-good)" 2003008400 132
version MQTT 06 "$(text_field dev-good)" 20020001 1
mosquitto() {
    mosquitto_pub -h localhost -p "$(port dps)" --cafile "$(ready root_ca)" --cert "$scratch/good.pem" --key "$scratch/good.key" -i dev-good -q 1 -m x "$@" \
        -u "$id_scope/registrations/dev-good/api-version=2019-03-31" -t "$put" >"$scratch/mosquitto" 2>&1 && fail "$* went through"
    assign dev-good good
}
mosquitto -V mqttv31
grep -qi 'protocol version' "$scratch/mosquitto" || fail "$(cat "$scratch/mosquitto")"
mosquitto -V mqttv5
grep -qi 'unsupported protocol version' "$scratch/mosquitto" || fail "$(cat "$scratch/mosquitto")"

it 'refuses SAS tokens with wrong fields by CONNACK 5, and names the rule'
# token RULE PASSWORD
token() {
    local body
    body="$(text_field MQTT)04c2003c$(text_field dev-good)$(text_field "$id_scope/registrations/dev-good/api-version=2019-03-31")$(text_field "$2")"
    story="the token '${2:0:100}'"
    is "$(send "$(packet 10 "$body")c000")" 20020005
    is "$(last_event '.kind == "attestation.verdict"' .data.rule)" "$1"
}
resource="sr=$id_scope%2fregistrations%2fdev-good" sig="sig=$(printf '%043d' 0)%3d"
token sas.token no-token
token sas.token 'SharedAccessSignature '
token sas.token "SharedAccessSignature $resource&se=4102444800&skn=registration"
token sas.token "SharedAccessSignature $resource&$sig&se=soon&skn=registration"
token sas.token "SharedAccessSignature $resource&sig=%zz&se=4102444800&skn=registration"
token sas.token "SharedAccessSignature $resource&$resource&$sig&se=4102444800&skn=registration"
token sas.token "SharedAccessSignature $resource&$sig&se=99999999999999999999&skn=registration"
token sas.resource "SharedAccessSignature sr=$id_scope%2fregistrations%2f..%2fdev-good&$sig&se=4102444800&skn=registration"
token sas.expired "SharedAccessSignature $resource&$sig&se=1&skn=registration"
token sas.policy "SharedAccessSignature $resource&$sig&se=4102444800&skn=provisioningserviceowner"
assign dev-good good

# repeat TEXT COUNT
repeat() {
    awk -v text="$1" -v count="$2" 'BEGIN { while (count-- > 0) printf "%s", text }'
}

it 'answers register bodies that are no JSON, too deep or too large with 400, and one that lies about its id'
deep=$(repeat '[' 10000)
bomb=$(repeat '{"a":' 5000)1$(repeat '}' 5000)
wide="{\"payload\":\"$(repeat a 100000)\"}"
# error BODY: the code of the answer, and of the event that tells it
error() {
    local reply
    reply=$(request dev-good good "$put" "$1")
    [[ $reply == '$dps/registrations/res/400/?$rid=1 '* ]] || fail "$reply"
    is "$(last_event '.kind == "dps.reply"' '[.data.status, .data.body.errorCode] | @csv')" "400,$(body "$reply" | jq .errorCode)"
    body "$reply" | jq .errorCode
}
for bad in "$deep" "$bomb" "$wide"; do
    is "$(error "$bad")" 400000
done
for bad in '{"a":' '[]' 'null' $'\xff\xfe' '{"registrationId":'; do
    story="a register body '${bad:0:20}'"
    is "$(error "$bad")" 400012
done
is "$(error '{"registrationId":"another"}')" 400004
assign dev-good good

it 'takes ids that look like paths, escapes or topics for what they are, and names the rule'
# claims CONNACK RULE ID...: each of them
claims() {
    local connack=$1 rule=$2 id
    local -i before
    before=$(events '.kind == "attestation.verdict"' | wc -l)
    shift 2
    for id in "$@"; do
        story="id '$id'"
        is "$(send "$(connect "$id" "$id_scope/registrations/$id/api-version=2019-03-31")c000e000")" "2002000$connack"
    done
    is "$(events '.kind == "attestation.verdict"' | tail -n +$((before + 1)) | jq -r .data.rule)" "$(for id in "$@"; do printf '%s\n' "$rule"; done)"
}
claims 0 registration-id.grammar .. . '..%2f..%2fetc%2fpasswd' '%2e%2e' 'dev%2dgood' 'dev-good%00' 'dev-good ' % %zz 'a#' a+ '$dps' "$(repeat a 200)"
claims 5 connect.api-version ../../etc/passwd dev-good/../dev-good
is "$(send "$(connect '' "$id_scope/registrations//api-version=2019-03-31")c000")" 20020005
assign dev-good good

it 'keeps every object of the control plane in a file of its own folder, whatever its name is'
ls -A "$scratch" >"$scratch/before"
for id in ../x .. /etc/x x%2f; do
    result enrollment.put "$(jq -n --arg id "$id" '{enrollment: {registrationId: $id, attestation: {type: "symmetricKey"}}}')" >"$scratch/reply"
    is "$(jq -r .registrationId "$scratch/reply")" "$id"
    result certificate.put "$(jq -n --arg id "$id" --rawfile pem "$scratch/good.pem" '{certificate: {name: $id, properties: {certificate: $pem}}}')" >"$scratch/reply"
    is "$(jq -r .name "$scratch/reply")" "$id"
done
is "$(find "$state/certificates" -type f | wc -l)" 4
is "$(find "$state/enrollments" -type f | wc -l)" 5
is "$(ls -A "$scratch")" "$(sort <(cat "$scratch/before") <(printf 'before\nreply\n') | uniq)"
missing /etc/x.json
for id in '' $'a\nb' "$(repeat a 129)"; do
    control certificate.put "$(jq -n --arg id "$id" --rawfile pem "$scratch/good.pem" '{certificate: {name: $id, properties: {certificate: $pem}}}')" >"$scratch/reply"
    is "$(jq -r .ok "$scratch/reply")" false
    grep -qE 'is missing|control character|longer than 128' "$scratch/reply" || fail "$(cat "$scratch/reply")"
done
assign dev-good good

it 'reads a chain of a hundred certificates and a certificate of 64 KB, and refuses more than 100 KB with an alert'
make_root link 'a link'
for ((i = 0; i < 100; i++)); do cat "$scratch/link.pem"; done >"$scratch/hundred.pem"
for ((i = 0; i < 10; i++)); do cat "$scratch/hundred.pem"; done >"$scratch/thousand.pem"
make_key big
{
    printf '[req]\ndistinguished_name = dn\nx509_extensions = x\nprompt = no\n[dn]\nCN = dev-good\n[x]\n1.2.3.4 = ASN1:UTF8String:'
    repeat a 65000
} >"$scratch/big.cnf"
openssl req -x509 -new -key "$scratch/big.key" -config "$scratch/big.cnf" -days 3 -out "$scratch/big.pem"
is "$(send "${hello}e000" -cert_chain "$scratch/hundred.pem")" 20020000
is "$(last_event '.kind == "tls.handshake"' '.data.chain | length')" 101
is "$(last_event '.kind == "attestation.verdict"' .data.verdict)" accepted
is "$(send "${hello}e000" -cert "$scratch/big.pem" -key "$scratch/big.key")" 20020000
is "$(last_event '.kind == "attestation.verdict"' .data.rule)" enrollment.other-certificate
is "$(send "${hello}e000" -cert_chain "$scratch/thousand.pem")" ''
is "$(last_event '.kind == "tls.failed"' .data.reason)" 'excessive message size'
assign dev-good good
end_sim TERM
