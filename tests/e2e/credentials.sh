#!/bin/bash
# dpsbench credentials against a virtual DK: files checked before anything is sent, plan, write, verify, delete, keygen, the wear ledger.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
export DPSBENCH_LEDGER=$scratch/wear/ledger.db
code=0
# credentials ARGUMENT...: output in $scratch/stdout and stderr, exit code in $code.
credentials() {
    code=0
    "$dpsbench" credentials "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}
exits() {
    [[ $code == "$1" ]] || fail "expected exit code $1, got $code:"$'\n'"$(cat "$scratch/stdout" "$scratch/stderr")"
}

"$dpsbench" certs make device/sub-ca --out "$scratch/pki" --registration-id dk-1 >/dev/null
"$dpsbench" certs make issuing --out "$scratch/ca" >/dev/null
"$dpsbench" certs make device/root-leaf --out "$scratch/other" --registration-id dk-1 >/dev/null
root=$DPSBENCH_SOURCE/fixtures/roots/DigiCertGlobalRootG2.crt.pem
key=$scratch/pki/leaf.key.pem
cat "$scratch/pki/leaf.crt.pem" "$scratch/pki/sub-ca.crt.pem" >"$scratch/chain.pem"

start_program dk "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --connect 127.0.0.1:1 --id-scope 0ne000AAAA1 --registration-id dk-1 --sec-tag 56 \
    --time-scale 20 --imei 352656100000099
start_program old "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/old" --connect 127.0.0.1:1 --id-scope 0ne000AAAA1 --registration-id dk-2 --sec-tag 56 \
    --time-scale 20 --mfw mfw_nrf9160_1.2.3
port=$(ready dk pty)
old_port=$(ready old pty)
files=(--root "$root" --cert "$scratch/chain.pem" --key "$key")

it 'refuses files that do not belong together before the port is opened'
credentials write /dev/no-such-port --tag 56 --cert "$scratch/chain.pem" --key "$scratch/other/leaf.key.pem"
exits 2
holds "$scratch/stderr" "$scratch/other/leaf.key.pem is not the key of"
cat "$scratch/pki/sub-ca.crt.pem" "$scratch/pki/leaf.crt.pem" >"$scratch/reversed.pem"
credentials write /dev/no-such-port --tag 56 --cert "$scratch/reversed.pem" --key "$key"
exits 2
holds "$scratch/stderr" 'the key belongs to certificate 2'
cat "$scratch/pki/leaf.crt.pem" "$scratch/pki/root.crt.pem" >"$scratch/gap.pem"
credentials write /dev/no-such-port 56 CLIENT_CERT "$scratch/gap.pem"
exits 2
holds "$scratch/stderr" 'but behind it stands'
credentials write /dev/no-such-port 56 CLIENT_CERT "$key"
exits 2
holds "$scratch/stderr" 'private key'
credentials write /dev/no-such-port 56 ROOT_CA_CERTS "$root"
exits 2
holds "$scratch/stderr" "did you mean 'ROOT_CA_CERT'"
for _ in 1 2 3 4 5 6; do cat "$root"; done >"$scratch/long.pem"
credentials write /dev/no-such-port 56 ROOT_CA_CERT "$scratch/long.pem"
exits 2
holds "$scratch/stderr" 'one AT command carries'
openssl x509 -in "$root" -outform DER -out "$scratch/root.der"
credentials write /dev/no-such-port 56 ROOT_CA_CERT "$scratch/root.der"
exits 2
holds "$scratch/stderr" 'openssl x509 -inform DER'
printf 'xyz' >"$scratch/psk"
credentials write /dev/no-such-port 56 PSK "$scratch/psk"
exits 2
holds "$scratch/stderr" 'hexadecimal'

it 'plans without a change'
credentials plan "$port" --tag 56 "${files[@]}"
exits 0
holds "$scratch/stdout" '3 to write, 0 to keep'
credentials list "$port"
exits 0
is "$(wc -l <"$scratch/stdout")" 1

it 'writes, verifies, and gives the modem its functional mode back'
credentials write "$port" --tag 56 "${files[@]}" --json
exits 0
is "$(jq -r '[.slots[].is_done] | all' "$scratch/stdout")" true
is "$(jq -r .device.cfun "$scratch/stdout")" 1
credentials list "$port" --json
is "$(jq -r .device.cfun "$scratch/stdout")" 1
# what is stored has no line end behind the last line
is "$(jq -r '.credentials[] | select(.type == 2).sha256' "$scratch/stdout")" "$(printf %s "$(cat "$key")" | sha256sum | tr a-f A-F | cut -c1-64)"

it 'writes only what differs'
credentials write "$port" --tag 56 "${files[@]}"
exits 0
is "$(grep -c 'nothing written' "$scratch/stdout")" 3
lacks "$scratch/stdout" 'PRIVATE'

it 'takes the order of words of nrfcredstore'
credentials "$port" write 12 CLIENT_CERT "$scratch/chain.pem"
exits 0
credentials "$port" list --tag 12 --type CLIENT_CERT
is "$(sed -n 1p "$scratch/stdout" | tr -s ' ')" 'Secure tag Key type SHA '
is "$(sed -n 2p "$scratch/stdout" | cut -d' ' -f1)" 12

it 'finds what is wrong: the wrong tag, the leaf alone, another slot, CR LF'
credentials verify "$port" --tag 56 "${files[@]}"
exits 0
holds "$scratch/stdout" 'elsewhere   sec tag 12, CLIENT_CERT'
credentials verify "$port" --tag 13 --cert "$scratch/chain.pem"
exits 1
holds "$scratch/stdout" 'is in sec tag 12, CLIENT_CERT: wrong sec tag'
credentials write "$port" 13 CLIENT_CERT "$scratch/pki/leaf.crt.pem"
holds "$scratch/stderr" "the device's own certificate alone"
credentials verify "$port" --tag 13 --cert "$scratch/chain.pem"
exits 1
holds "$scratch/stdout" 'its first certificate alone, without the chain'
credentials write "$port" 14 CLIENT_CERT "$root"
credentials verify "$port" --tag 14 --cert "$scratch/chain.pem" --root "$root" --json
exits 1
is "$(jq -r '.findings[] | select(.type == 1 and .sec_tag == 14).state' "$scratch/stdout")" other-file
sed 's|$|\r|' "$scratch/chain.pem" >"$scratch/crlf.pem"
talk dk at AT+CFUN=4 cmng 15 1 "$scratch/crlf.pem" at AT+CFUN=1
credentials verify "$port" --tag 15 --cert "$scratch/chain.pem"
exits 1
holds "$scratch/stdout" 'with CR LF line ends'

it 'has a sentence for what the modem refuses'
printf '%s\n' '-----BEGIN CERTIFICATE-----' >"$scratch/broken.pem"
credentials delete "$port" 99 CLIENT_KEY
exits 1
holds "$scratch/stderr" 'there is no such credential (CME 513)'
credentials delete "$port" 13 CLIENT_CERT
exits 0
is "$(cat "$scratch/stdout")" 'CLIENT_CERT in secure tag 13 deleted'

it 'makes a key in the modem, has it signed, writes the chain and verifies it'
credentials keygen "$port" 56 --cn dk-1 --ca "$scratch/ca/ca.crt.pem" --ca-key "$scratch/ca/ca.key.pem"
exits 2
holds "$scratch/stderr" 'has a CLIENT_KEY already'
credentials keygen "$port" 57 "$scratch/dk.csr" --cn dk-1 --ca "$scratch/ca/ca.crt.pem" --ca-key "$scratch/ca/ca.key.pem" --root "$root" --days 30 --json
exits 0
is "$(jq -r '[.common_name, .has_statement, .is_verified] | join(" ")' "$scratch/stdout")" 'dk-1 true true'
jq -r .certificate.pem "$scratch/stdout" >"$scratch/leaf.pem"
openssl verify -purpose sslclient -CAfile "$scratch/ca/root.crt.pem" -untrusted "$scratch/ca/ca.crt.pem" "$scratch/leaf.pem" >/dev/null
is "$(openssl x509 -in "$scratch/leaf.pem" -noout -pubkey)" "$(openssl req -inform DER -in "$scratch/dk.csr" -noout -pubkey)"
credentials generate "$port" 58 "$scratch/dk58.csr" --attributes 'CN=x,O=y'
exits 0
is "$(openssl req -inform DER -in "$scratch/dk58.csr" -noout -subject -nameopt RFC2253)" 'subject=O=y,CN=x'
credentials keygen "$port" 59 --cn dk-1 --ca "$scratch/pki/leaf.crt.pem" --ca-key "$key"
exits 2
holds "$scratch/stderr" 'this is no CA certificate'

it 'gives the modem its functional mode back when the cable was pulled in the midst of a write'
start_program slow "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/slow" --connect 127.0.0.1:1 --id-scope 0ne000AAAA1 --registration-id dk-3 --sec-tag 56 \
    --time-scale 1 --misbehaviour slow-uart
slow_port=$(ready slow pty)
"$dpsbench" credentials write "$slow_port" --tag 56 "${files[@]}" >"$scratch/pulled" 2>&1 &
writer=$!
started+=("$writer")
read -rt 2 <> <(:) || true # where the machine is slower it is pulled before the write: no worse
kill -USR2 "$(ready slow pid)"
code=0
wait "$writer" || code=$?
is "$code" 3
holds "$scratch/pulled" 'the port went away'
lacks "$scratch/pulled" 'left in flight mode'
credentials list "$slow_port" --json
is "$(jq -r .device.cfun "$scratch/stdout")" 1

it 'makes no key whose request has no place'
credentials keygen "$port" 61 "$scratch/nowhere/dk.csr" --cn dk-1
exits 3
holds "$scratch/stderr" 'no key was made'
credentials keygen "$port" 61 "$scratch" --cn dk-1
exits 2
credentials list "$port" --tag 61 --json
is "$(jq '.credentials | length' "$scratch/stdout")" 0
credentials keygen "$port" 61 /dev/stdout --cn dk-1
exits 0
credentials delete "$port" 61 CLIENT_KEY
[[ ! -e $scratch/dk58.csr.trial ]] || fail 'the trial is left behind'

it 'prints what the modem says of itself, and looks whether it answers the challenge'
credentials attoken "$port"
exits 0
is "$(cut -d' ' -f1-2 "$scratch/stdout")" 'Attestation token:'
credentials attoken "$port" --challenge 90115C20AC3F381B520B43C76BD5D99C --json
exits 0
is "$(jq -r '[.nonce, .device_type, (.device_uuid | length), (.token | test("^[-_0-9A-Za-z]+[.][-_0-9A-Za-z]+$"))] | join(" ")' "$scratch/stdout")" \
    '90115c20ac3f381b520b43c76bd5d99c 6 36 true'
is "$(jq -r .device.cfun "$scratch/stdout")" 1
credentials attoken "$port" --challenge 9011
exits 2
holds "$scratch/stderr" '32 hexadecimal digits'
credentials attoken "$old_port"
exits 1
holds "$scratch/stderr" "modem firmware before 1.3.0 does not know it, and this one is 'mfw_nrf9160_1.2.3'"

it 'takes the options of nrfcredstore, and says what they mean'
credentials "$port" list --type ANY --baudrate 115200 --cmd-type at
exits 0
credentials imei "$port" --cmd-type shell
exits 3
holds "$scratch/stderr" 'no answer to AT commands'
credentials imei "$port" --cmd-type rtt
exits 2
holds "$scratch/stderr" 'none of auto, at, shell'

it 'counts writes a device and slot'
credentials wear
holds "$scratch/stdout" 'imei:352656100000099'
credentials wear --json
is "$(jq '.[] | select(.sec_tag == 56 and .type == 0).writes' "$scratch/stdout")" 1
is "$(jq '.[] | select(.sec_tag == 57 and .type == 2).key_generations' "$scratch/stdout")" 1
is "$(jq '.[] | select(.sec_tag == 13 and .type == 1) | [.writes, .deletions] | add' "$scratch/stdout")" 2
credentials list "$port" --tag 56 --wear
is "$(awk '$1 == 56 { print $NF }' "$scratch/stdout" | sort -u)" 1

it 'deletes all, and says so before'
credentials deleteall "$port" --dry-run
exits 0
is "$(tail -n 1 "$scratch/stdout")" 'nothing was deleted'
credentials deleteall "$port"
exits 0
is "$(tail -n 1 "$scratch/stdout")" 'All credentials deleted.'
credentials list "$port" --json
is "$(jq '.credentials | length' "$scratch/stdout")" 0

it 'says which device is meant, and who holds the port'
credentials list "$port" --device dk
exits 2
holds "$scratch/stderr" '--device chooses among the devices of a rig file'
printf 'format: 1\ndevices:\n  - {id: dk, serial: %s, registration_id: dk-1, id_scope: 0ne000AAAA1, sec_tag: 56}\n' "$port" >"$scratch/rig.yaml"
credentials list --rig "$scratch/rig.yaml" --device dk2
exits 2
holds "$scratch/stderr" "it has no device 'dk2'; there are: dk"
credentials list
exits 2
holds "$scratch/stderr" 'which device?'
credentials list "$scratch/nothing"
exits 3
holds "$scratch/stderr" "$scratch/nothing"
