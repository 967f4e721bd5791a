#!/bin/bash
# dpsbench try: the forum thread's files and the guide's, made by the real openssl word for word, and every mistake that a person makes with them.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
uuid=50503041-3633-4261-803d-1e2b8f70111a # the thread's <device uuid>
other=50503041-3633-4261-803d-1e2b8f70111b # one digit off
code=0
mkdir "$scratch/files" "$scratch/tmp"
export TMPDIR=$scratch/tmp
cd "$scratch/files"

# Nothing stays: no folder, no process that knows it.
nothing_left() {
    local left pids
    left=$(ls -A "$TMPDIR")
    [[ -z $left ]] || fail "left behind: $left"
    # The pattern comes through a file, or grep would find itself.
    pids=$(grep -lsaF -f <(printf '%s' "$TMPDIR") /proc/[0-9]*/cmdline) || true
    [[ -z $pids ]] || fail "still running: $pids"
}

# try ARGUMENT...: output in $scratch/stdout and $scratch/stderr, exit code in $code.
try() {
    code=0
    "$dpsbench" try "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
    nothing_left
    # Whoever reads the result later cannot look into a folder that is gone.
    lacks "$scratch/stdout" "$TMPDIR"
}

# exits CODE: the last try ended so.
exits() {
    [[ $code == "$1" ]] || fail "expected exit code $1, got $code:"$'\n'"$(cat "$scratch/stdout" "$scratch/stderr")"
}

# says TEXT, never_says TEXT: on standard output.
says() {
    holds "$scratch/stdout" "$1"
}
never_says() {
    lacks "$scratch/stdout" "$1"
}

# json FILTER: of the last try with --json.
json() {
    jq -er "$1" "$scratch/stdout" || fail "no $1 in $(cat "$scratch/stdout")"
}

# refuses_file TEXT ARGUMENT...: exit 2, TEXT on stderr, nothing on stdout.
refuses_file() {
    local text=$1
    shift
    try --registration-id "$uuid" "$@"
    exits 2
    holds "$scratch/stderr" "$text"
    is "$(wc -c <"$scratch/stdout")" 0
}

it "the thread's steps 1 to 5 and 12"
{
    openssl genrsa -out rootCA.key 2048
    printf 'NO\n.\nTrondheim\nExample\n.\nroot-ca\n.\n' | openssl req -x509 -new -nodes -key rootCA.key -sha256 -days 1024 -out rootCA.pem
    openssl genrsa -out device.key 2048
    openssl req -new -key device.key -out device.csr -subj "/CN=$uuid"
    openssl x509 -req -in device.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial -out device.crt -days 500 -sha256
} >openssl.log 2>&1
cat device.crt rootCA.pem >device_fullchain.pem
thread=(--cert device_fullchain.pem --key device.key --group-ca rootCA.pem)

it "the thread's files are right: assigned, and the service saw what was sent"
try "${thread[@]}" --registration-id "$uuid"
exits 0
says 'WOULD BE ASSIGNED'
says "registration id '$uuid', 2 certificates over TLSv1.2"
says "  1  CN=$uuid"
says 'signed by 2, '
says "signed by itself, "
says 'which is uploaded and verified (--unverified tries the other)'
says 'the hub says accepted'
says 'leaf.v1:'
says 'chain.root-sent:'
says 'not checked: the client trusts'
never_says 'What to type'

it 'with the wrong registration id: refused, with the rule, both ids, the surface, the evidence and what to type'
try "${thread[@]}" --registration-id "$other"
exits 1
says 'WOULD BE REFUSED: registration-id.mismatch (C11)'
says "CN is '$uuid', the registration id is '$other'"
says 'dps/registrations/res/401: errorCode 401002'
says 'documented by Microsoft: azure-docs'
says "openssl req -new -key device.key -out device-new.csr -subj \"/CN=$other\""

it 'the same for a program'
try "${thread[@]}" --registration-id "$other" --json
exits 1
is "$(json '[.v, .outcome, .is_assigned, .rule, .class] | map(tostring) | join(" ")')" '1 refused-by-dps false registration-id.mismatch C11'
is "$(json '.seen.chain | map(.signed_by) | join(" ")')" '1 1'
is "$(json '.seen.chain[0].subject')" "CN=$uuid"
is "$(json '[.attestation.surface, .attestation.error_code, .attestation.evidence.rule_evidence, .connack.return_code] | map(tostring) | join(" ")')" \
    'res401 401002 documented 0'
is "$(json '.notes | map(select(.kind == "warning").id) | join(" ")')" leaf.v1
((duration_us = $(json .duration_us)))

it 'what it says to type helps'
json '.commands[] | select(startswith("#") | not)' | sed 's/CA\.key/rootCA.key/g' >mend.sh
bash -e mend.sh >>openssl.log 2>&1
try --cert chain-new.pem --key device.key --group-ca rootCA.pem --registration-id "$other"
exits 0

it 'the profile strict-tls ends the handshake with an alert, and the wire has no CONNECT'
try "${thread[@]}" --registration-id "$uuid" --profile strict-tls --json
exits 1
is "$(json '[.rule, .attestation.surface, .alert.name, .alert.direction, .seen, .connack] | map(tostring) | join(" ")')" \
    'leaf.v1 tls-alert unsupported_certificate sent null null'
try "${thread[@]}" --registration-id "$uuid" --profile strict-tls --unverified
exits 1
says 'WOULD BE REFUSED: ca.not-verified (C10)'
says 'the TLS handshake ends with the alert unknown_ca'

it 'the profile azure-2018 ends the operation as failed'
try "${thread[@]}" --registration-id "$other" --profile azure-2018 --json
exits 1
is "$(json '[.attestation.surface, .connack.return_code, .reply.status, .reply.body.status, .reply.body.registrationState.errorCode] | map(tostring) | join(" ")')" \
    'failed 0 200 failed 401002'

it "the profile gateway-guide holds a certificate against the manual's statements, and says whose they are"
try "${thread[@]}" --registration-id "$uuid" --profile gateway-guide
exits 1
says 'WOULD BE REFUSED: vendor.cn-lower-case (C12)'
says 'stated by a third party'

it 'the profile connack shows the symptom of the thread, and the virtual DK prints its eight lines'
try "${thread[@]}" --registration-id "$other" --profile connack --console
exits 1
says 'CONNACK with return code 5'
sed -n 's/^  \[[0-9:.,]*\] \(<[a-z]*> .*\)$/\1/p' "$scratch/stdout" | tail -n 8 >lines
diff lines - <<'LINES' || fail 'other lines'
<err> azure_iot_hub_dps: Connection was rejected with return code 5
<wrn> azure_iot_hub_dps: Is the device certificate valid?
<err> mqtt_helper: Library is in the wrong state (MQTT_STATE_DISCONNECTED), MQTT_STATE_CONNECTED required
<err> azure_iot_hub_dps: Failed to disconnect gracefully, error: -95
<err> azure_iot_hub_dps: There was a failure during DPS registration, process is stopped
<inf> azure_iot_hub_sample: DPS registration status: AZURE_IOT_HUB_DPS_REG_STATUS_FAILED
<err> azure_iot_hub_sample: Failed to run DPS, error: -14, terminating connection attempt
<err> mqtt_helper: Cloud MQTT input error: -111
LINES
is "$(grep -c 'Booting nRF Connect SDK' "$scratch/stdout")" 1
lacks "$scratch/stdout" $'\033'
says 'bytes, within the 4078 that one AT%CMNG command carries'

it 'and with the right id what a good start prints'
try "${thread[@]}" --registration-id "$uuid" --console --json
exits 0
json '.console[]' >lines
holds lines 'AZURE_IOT_HUB_DPS_REG_STATUS_ASSIGNED'
holds lines 'Event was successfully sent'

it 'the CA uploaded and not verified, and the steps that prove it'
try "${thread[@]}" --registration-id "$uuid" --unverified --json
is "$(jq -r '.attestation.mend, (.attestation.rules[] | .mend)' "$scratch/stdout" | grep -c -e '--state DIR')" 2
try "${thread[@]}" --registration-id "$uuid" --unverified
exits 1
says 'ca.not-verified (C10)'
says 'az iot dps certificate generate-verification-code'
says '-CA rootCA.pem -CAkey CA.key'

it 'a sub-CA: the leaf alone is not enough, leaf and sub-CA are'
{
    openssl req -new -newkey rsa:2048 -nodes -keyout subCA.key -out subCA.csr -subj '/CN=Sub CA'
    openssl x509 -req -in subCA.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial -out subCA.pem -days 900 -sha256 \
        -extfile <(printf 'basicConstraints=critical,CA:TRUE\n')
    openssl x509 -req -in device.csr -CA subCA.pem -CAkey subCA.key -CAcreateserial -out device-sub.crt -days 500 -sha256
} >>openssl.log 2>&1
try --cert device-sub.crt --key device.key --group-ca rootCA.pem --registration-id "$uuid"
exits 1
says 'chain.issuer-not-sent (C02)'
says 'cat device-sub.crt issuer.pem > chain.pem'
says "signed by 'CN=Sub CA', not sent"
cat device-sub.crt subCA.pem >chain.pem
try --cert chain.pem --key device.key --group-ca rootCA.pem --registration-id "$uuid"
exits 0
try --cert device-sub.crt --key device.key --group-ca subCA.pem --registration-id "$uuid"
exits 0

it 'another CA than the group has'
openssl req -x509 -newkey rsa:2048 -nodes -keyout otherCA.key -out otherCA.pem -days 900 -sha256 -subj '/CN=Other CA' 2>/dev/null
try "${thread[@]}" --group-ca otherCA.pem --registration-id "$uuid"
exits 1
says 'chain.unknown-ca (C07)'
# What else is wrong is told too, without the folder of the try.
try "${thread[@]}" --group-ca otherCA.pem --registration-id 'a!'
exits 1
says 'registration-id.grammar (C12)'
says '  chain.unknown-ca: '
says 'DIR/certificates/NAME.json'

it 'files through pipes of the shell, a temporary folder with a space in its name'
try --cert <(cat device.crt rootCA.pem) --key <(cat device.key) --group-ca <(cat rootCA.pem) --root <(cat rootCA.pem) --registration-id "$uuid"
exits 1
says "belongs to the device's own chain"
mkdir "$scratch/with a space"
TMPDIR="$scratch/with a space" try "${thread[@]}" --registration-id "$uuid"
exits 0
is "$(ls -A "$scratch/with a space")" ''

it "the guide's certificate, word for word: an individual enrollment of itself is assumed, and said so"
printf 'NO\n.\n.\n.\n.\ngateway1\n.\n' | openssl req -x509 -newkey rsa:2048 -keyout root-private-key.pem -nodes -out root-cert.pem 2>>openssl.log
guide=(--cert root-cert.pem --key root-private-key.pem)
try "${guide[@]}" --registration-id gateway1
exits 0
says "there is an individual enrollment 'gateway1' that holds this very certificate (neither --group-ca nor --enrollment is given)"
says 'certificate.expires-soon:' # openssl's default of 30 days
try "${guide[@]}" --registration-id gateway2
exits 1
says 'registration-id.mismatch'
try "${guide[@]}" --registration-id gateway1 --group-ca rootCA.pem
exits 1
says 'chain.self-signed-leaf (C09)'
says 'az iot dps enrollment create'
try "${guide[@]}" --registration-id 'gateway 1!'
exits 1
says 'registration-id.grammar'

it 'enrollments as az shows them'
sha1=$(openssl x509 -in rootCA.pem -noout -fingerprint -sha1 | sed 's/.*=//; s/://g')
jq -n --arg sha1 "$sha1" '{enrollmentGroupId: "g1", etag: "\"x\"", provisioningStatus: "enabled", iotHubs: ["my-hub.azure-devices.net"], attestation: {type:
    "x509", x509: {clientCertificates: null, caReferences: null, signingCertificates: {primary: {certificate: null, info: {sha1Thumbprint: $sha1}},
    secondary: null}}}}' >group.json
try "${thread[@]:0:4}" --registration-id "$uuid" --enrollment group.json
exits 0
says "assigned  to 'my-hub.azure-devices.net'"
try "${thread[@]:0:4}" --registration-id "$uuid" --enrollment group.json --unverified
exits 1
says 'ca.not-verified'
jq '.provisioningStatus = "disabled"' group.json >disabled.json
try "${thread[@]:0:4}" --registration-id "$uuid" --enrollment disabled.json
exits 1
says 'group.disabled (C17)'
says 'status "disabled"'
says '--enrollment-id g1 --provisioning-status enabled'
jq '.attestation.x509 = {caReferences: {primary: "root-ca"}}' group.json >references.json
refuses_file '--certificate root-ca=FILE.pem' "${thread[@]:0:4}" --enrollment references.json
try "${thread[@]:0:4}" --registration-id "$uuid" --enrollment references.json --certificate root-ca=rootCA.pem
exits 0
says "caReferences.primary 'root-ca'"
jq -n --rawfile pem root-cert.pem --arg id "$uuid" \
    '{registrationId: $id, sparkle: 1, attestation: {type: "x509", x509: {clientCertificates: {primary: {certificate: $pem}}}}}' >individual.json
try "${thread[@]:0:4}" --registration-id "$uuid" --enrollment individual.json
exits 1
says 'enrollment.other-certificate (C29)'
says "unknown member 'sparkle'"
try "${thread[@]:0:4}" --registration-id gateway3 --enrollment individual.json
exits 1
says 'enrollment.none'
printf '[]' >list.json
refuses_file 'list.json: neither' "${thread[@]:0:4}" --enrollment list.json
jq '.attestation.x509.clientCertificates.primary.certificate = "nonsense"' individual.json >broken.json
refuses_file 'broken.json: ' "${thread[@]:0:4}" --enrollment broken.json

it 'the server root'
g2=$DPSBENCH_SOURCE/fixtures/roots/DigiCertGlobalRootG2.crt.pem
try "${thread[@]}" --registration-id "$uuid" --root "$g2" --console
exits 0
says 'it is DigiCert Global Root G2'
says "no server here has Azure's key"
try "${thread[@]}" --registration-id "$uuid" --root rootCA.pem --console
exits 1
says 'WOULD NOT CONNECT'
says "belongs to the device's own chain"
says "DPS itself: device '$uuid' is accepted"
says 'mqtt_helper_connect failed, error: -111'
says 'DigiCertGlobalRootG2.crt.pem'
try "${thread[@]}" --registration-id "$other" --root device.crt --json
exits 1
is "$(json '[.outcome, .root.is_good, .rule] | map(tostring) | join(" ")')" 'refused-by-device false registration-id.mismatch'
refuses_file 'this is a private key' "${thread[@]}" --root device.key
sed 's/$/\r/' "$g2" >g2-crlf.pem
cat "$g2" otherCA.pem >g2-two.pem
try "${thread[@]}" --registration-id "$uuid" --root g2-crlf.pem
exits 0
says "'g2-crlf.pem' has Windows line ends"
try "${thread[@]}" --registration-id "$uuid" --root g2-two.pem
exits 0
says 'root.several:'

it 'files that are something else are told apart, each with what to type'
openssl ecparam -name prime256v1 -genkey -noout -out other.key
openssl pkey -in device.key -aes128 -passout pass:secret -out encrypted.key
openssl pkey -in device.key -outform DER -out key.der
openssl pkey -in device.key -pubout -out public.pem
openssl x509 -in device.crt -outform DER -out device.der
openssl base64 -A -in device.der -out device.b64
openssl pkcs12 -export -in device.crt -inkey device.key -passout pass:secret -out device.p12
openssl crl2pkcs7 -nocrl -certfile device.crt -out device.p7b
cat rootCA.pem device.crt >reversed.pem
printf '%s' "$(cat device.crt)" >cut.crt
cat cut.crt rootCA.pem >glued.pem
refuses_file '--cert and --key are swapped' --cert device.key --key device.crt
refuses_file 'other.key does not belong to device.crt' --cert device.crt --key other.key
# The hashes are those of the commands that it names.
holds "$scratch/stderr" "$(openssl x509 -in device.crt -noout -pubkey | openssl sha256 | sed 's/.* //')"
holds "$scratch/stderr" "$(openssl pkey -in other.key -pubout | openssl sha256 | sed 's/.* //')"
refuses_file 'cat device.crt ca.pem > chain.pem' --cert reversed.pem --key device.key
refuses_file 'openssl pkey -in encrypted.key -out encrypted.key.plain' --cert device.crt --key encrypted.key
refuses_file 'openssl pkey -inform DER -in key.der -out key.der.pem' --cert device.crt --key key.der
refuses_file 'this is a public key' --cert device.crt --key public.pem
refuses_file 'this is a certificate signing request (CSR)' --cert device.crt --key device.csr
refuses_file 'this is a certificate signing request (CSR)' --cert device.csr --key device.key
refuses_file 'openssl x509 -inform DER -in device.der -out device.der.pem' --cert device.der --key device.key
refuses_file '| fold -w 64' --cert device.b64 --key device.key
refuses_file 'openssl pkcs12 -in device.p12 -nokeys -out chain.pem' --cert device.p12 --key device.key
refuses_file 'openssl pkcs7 -print_certs -in device.p7b' --cert device.p7b --key device.key
refuses_file "sed -i 's/----------/-----\\n-----/' glued.pem" --cert glued.pem --key device.key
openssl ecparam -name secp256k1 -genkey -noout -out odd.key
openssl req -x509 -new -key odd.key -days 400 -subj "/CN=$uuid" -out odd.crt
refuses_file 'no TLS handshake can be made with this certificate and key' --cert odd.crt --key odd.key
refuses_file "read 'missing.pem'" --cert missing.pem --key device.key
refuses_file "read 'missing.key'" --cert device.crt --key missing.key
refuses_file 'this is a private key, not a certificate' "${thread[@]:0:4}" --group-ca rootCA.key

it 'those commands do what they say'
openssl x509 -inform DER -in device.der -out device.der.pem
(echo '-----BEGIN CERTIFICATE-----'; tr -d '[:space:]' < device.b64 | fold -w 64; echo; echo '-----END CERTIFICATE-----') >device.b64.pem
sed -i 's/----------/-----\n-----/' glued.pem
openssl pkey -inform DER -in key.der -out key.der.pem
for cert in device.der.pem device.b64.pem glued.pem; do
    try --cert "$cert" --key key.der.pem --group-ca rootCA.pem --registration-id "$uuid"
    exits 0
done

it 'warns of what bites later'
sed 's/$/\r/' device.crt >crlf.crt
sed 's/CERTIFICATE-----$/CERTIFICATE----- /' device.crt >white.crt
cat device.crt rootCA.pem subCA.pem otherCA.pem >long.pem
openssl x509 -req -in device.csr -CA rootCA.pem -CAkey rootCA.key -CAcreateserial -out long-lived.crt -days 3000 -sha256 \
    -extfile <(printf 'extendedKeyUsage=serverAuth\n') 2>/dev/null
warns() {
    local id=$1
    shift
    try --key device.key --group-ca rootCA.pem "$@"
    exits 0
    says "  $id: "
}
warns file.crlf --registration-id "$uuid" --cert crlf.crt
warns file.white-space --registration-id "$uuid" --cert white.crt
warns file.no-newline --registration-id "$uuid" --cert cut.crt
cat device.crt device.key >both.pem
warns file.other-block --registration-id "$uuid" --cert both.pem
warns modem.too-long --registration-id "$uuid" --cert long.pem
warns chain.extra --registration-id "$uuid" --cert long.pem
warns certificate.outlives-issuer --registration-id "$uuid" --cert long-lived.crt
warns leaf.no-client-auth --registration-id "$uuid" --cert long-lived.crt
warns registration-id.case --registration-id "${uuid^^}" --cert device.crt
warns ca.several --registration-id "$uuid" --cert device.crt --group-ca device_fullchain.pem --group-ca <(cat rootCA.pem subCA.pem)

it 'what a modem cannot hold does not get into it'
try --cert long.pem --key device.key --group-ca rootCA.pem --registration-id "$uuid" --console
exits 1
says 'the modem does not take the files: client certificate:'
says 'bytes, more than the 4078 that one AT%CMNG command carries'
says "DPS itself: device '$uuid' is accepted"

it 'no private key gets out'
key_line=$(sed -n 20p device.key) # of a prime; the first lines hold the modulus, which is public
try "${thread[@]}" --registration-id "$uuid" --console --json
lacks "$scratch/stdout" "$key_line"
lacks "$scratch/stderr" "$key_line"

# start_slow: a try with the clock of a real device, up to where simulator and virtual DK run.
start_slow() {
    local deadline=$((SECONDS + 60))
    DPSBENCH_TIME_SCALE=1 "$dpsbench" try "${thread[@]}" --registration-id "$uuid" --console >"$scratch/stdout" 2>"$scratch/stderr" &
    slow_pid=$!
    started+=("$slow_pid")
    until compgen -G "$TMPDIR/dpsbench-try.*/virtual-dk/state/ready.json" >/dev/null; do
        ((SECONDS < deadline)) || fail "no virtual DK in time: $(cat "$scratch/stderr")"
        read -rt 0.02 <> <(:) || true
    done
}

await_nothing_left() {
    local deadline=$((SECONDS + 60))
    until (nothing_left) 2>/dev/null; do
        ((SECONDS < deadline)) || nothing_left
        read -rt 0.05 <> <(:) || true
    done
}

it 'Ctrl-C ends it, with 130, and leaves nothing behind'
start_slow
kill -INT "$slow_pid"
code=0
wait "$slow_pid" || code=$?
exits 130
nothing_left

it 'kill -9 leaves nothing behind either'
start_slow
kill -KILL "$slow_pid"
wait "$slow_pid" 2>/dev/null || true
await_nothing_left

it 'a simulator that dies is trouble of the bench, not a verdict'
start_slow
kill -KILL "$(jq .pid "$TMPDIR"/dpsbench-try.*/simulator/ready.json)"
code=0
wait "$slow_pid" || code=$?
exits 3
holds "$scratch/stderr" 'simulator'
await_nothing_left

it 'refuses wrong usage, and helps with examples'
refuses_usage() {
    local text=$1
    shift
    try "$@"
    exits 2
    holds "$scratch/stderr" "$text"
}
refuses_usage '--cert CHAIN is missing' --key device.key --registration-id x
refuses_usage '--registration-id ID is missing' --cert device.crt --key device.key
refuses_usage '--registration-id is empty' "${thread[@]}" --registration-id ''
refuses_usage 'holds a control character, or is not UTF-8' "${thread[@]}" --registration-id $'a\tb'
refuses_usage 'holds a control character, or is not UTF-8' "${thread[@]}" --registration-id $'\xff'
refuses_usage 'exclude each other' "${thread[@]}" --registration-id x --enrollment group.json
refuses_usage "--profile 'azur' does not exist; there are: azure, connack, azure-2018, strict-tls, gateway-guide" "${thread[@]}" --registration-id x --profile azur
refuses_usage "did you mean '--group-ca'?" --grup-ca rootCA.pem
refuses_usage 'is not NAME=PEM' "${thread[@]}" --registration-id x --certificate rootCA.pem
refuses_usage 'one argument too many' device.crt
try --help
exits 0
says '  dpsbench try --cert device_fullchain.pem --key device.key '
says '    --registration-id dev-01 --group-ca rootCA.pem'

printf 'a verdict took %d ms\n' $((duration_us / 1000))
