#!/bin/bash
# dpsbench az iot dps certificate (short: dpsbench certificate): before a simulator's first start, and through the control plane while one runs.
# Certificates by the openssl command line.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

certificate() {
    "$dpsbench" certificate "$@" 2>"$scratch/stderr"
}

# refuses TEXT ARGUMENT...: exit code 2, and the text on stderr.
refuses() {
    local text=$1 exit_code=0
    shift
    certificate "$@" || exit_code=$?
    is "$exit_code" 2
    holds "$scratch/stderr" "$text"
}

cd "$scratch"
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -sha256 -subj '/CN=e2e root' 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 30 -sha256 -subj '/CN=other root' 2>/dev/null
openssl req -new -newkey rsa:2048 -nodes -keyout sub.key -out sub.csr -subj '/CN=e2e sub' 2>/dev/null
openssl x509 -req -in sub.csr -CA root.pem -CAkey root.key -CAcreateserial -out sub.pem -days 30 -sha256 \
    -extfile <(echo basicConstraints=critical,CA:TRUE) 2>/dev/null
openssl x509 -req -in sub.csr -CA root.pem -CAkey root.key -CAcreateserial -out leaf.pem -days 30 -sha256 \
    -extfile <(echo basicConstraints=CA:FALSE) 2>/dev/null

# sign CODE CA: a verification certificate, as the documentation makes it.
sign() {
    openssl req -new -newkey rsa:2048 -nodes -keyout verification.key -out verification.csr -subj "/CN=$1" 2>/dev/null
    openssl x509 -req -in verification.csr -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out verification.pem -days 1 -sha256 2>/dev/null
}

# Everything a person does with a certificate; $1: the state folder.
whole_life() {
    local code etag_1 etag_2 etag_3
    export DPSBENCH_STATE=$1

    it "creates a certificate, unverified ($2)"
    etag_1=$(certificate create --certificate-name root-ca --path root.pem | jq -r .etag)
    certificate show --certificate-name root-ca >show.json
    is "$(jq -r '.properties | [.isVerified, .subject] | @tsv' show.json)" $'false\tCN=e2e root'
    is "$(jq -r '.properties.certificate | @base64d' show.json | openssl x509 -noout -fingerprint -sha1 | tr -d ':' | cut -d= -f2)" \
        "$(jq -r .properties.thumbprint show.json)"
    is "$(tail -n 1 show.json)" '}'
    is "$(jq -c 'keys' show.json)" '["etag","id","name","properties","resourceGroup","systemData","type"]'
    is "$(certificate list | jq -r '.value[].name')" root-ca

    it "gives a verification code, and a new etag ($2)"
    certificate generate-verification-code -n root-ca --etag "$etag_1" >asked.json
    code=$(jq -r .properties.verificationCode asked.json)
    [[ $code =~ ^[0-9A-F]{48}$ ]] || fail "'$code' is no code"
    etag_2=$(jq -r .etag asked.json)
    [[ $etag_1 != "$etag_2" ]] || fail 'the etag is the same'

    it "refuses a proof by another key, and one with another CN ($2)"
    sign "$code" other
    refuses "Proof-Of-Possession failed. Issuer certificate 'CN=e2e root' cannot be found in the certificate chain." \
        verify -n root-ca --path verification.pem --etag "$etag_2"
    sign 0123456789 root
    refuses "CN is '0123456789', the verification code is '$code'" verify -n root-ca --path verification.pem --etag "$etag_2"
    is "$(certificate show -n root-ca | jq -r '.properties.isVerified')" false

    it "verifies with the right proof, gives a new etag, and says when there is nothing left to prove ($2)"
    sign "$code" root
    etag_3=$(certificate verify -n root-ca --path verification.pem --etag "$etag_2" | jq -r .etag)
    [[ $etag_2 != "$etag_3" ]] || fail 'the etag is the same'
    is "$(certificate show -n root-ca | jq -r '.properties.isVerified')" true
    refuses 'is verified already' verify -n root-ca --path verification.pem --etag "$etag_3"

    it "refuses an intermediate's proof that the root signed ($2)"
    certificate create -n sub-ca -p sub.pem >/dev/null
    sign "$(certificate generate-verification-code -n sub-ca -e '*' | jq -r .properties.verificationCode)" root
    refuses 'IH400053' verify -n sub-ca --path verification.pem -e '*'
    holds "$scratch/stderr" "an intermediate is proven with the intermediate's own key"
    certificate delete -n sub-ca -e '*'

    it "refuses a stale etag, a name that is taken, and one that does not exist ($2)"
    refuses '412 Precondition Failed' generate-verification-code -n root-ca --etag "$etag_1"
    refuses '412 Precondition Failed' delete -n root-ca --etag "$etag_1"
    refuses "Certificate 'root-ca' already exists. Use 'iot dps certificate update'" create -n root-ca --path root.pem
    refuses "'root-cb' does not exist" show -n root-cb
    refuses "Certificate 'root-cb' does not exist. Use 'iot dps certificate create'" update -n root-cb --path root.pem --etag '*'

    it "takes DER and what the uploader says; an update is unverified again ($2)"
    openssl x509 -in other.pem -outform DER -out other.der
    certificate create -n other --path other.der --verified true >/dev/null
    is "$(certificate list | jq -r '.value[] | select(.name == "other") | .properties.isVerified')" true
    is "$(certificate update -n other --path root.pem --etag '*' | jq -r '.properties.isVerified')" false
    certificate delete -n other --etag '*'
    is "$(certificate list | jq '.value | length')" 1

    it "takes a leaf, with a warning that says why it cannot sign ($2)"
    certificate create -n leaf --path leaf.pem >/dev/null
    holds "$scratch/stderr" 'CA:FALSE'
    certificate delete -n leaf --etag '*'
    unset DPSBENCH_STATE
}

mkdir fresh
whole_life fresh 'no simulator yet'

it 'gives the same through a running simulator'
mkdir running
"$DPSBENCH_BIN/dpsbench-sim" --state running --listen 127.0.0.1:0 --server-key p-256 >ready.line 2>sim.log &
started+=($!)
sim_pid=$!
deadline=$((SECONDS + 60))
until [[ -e running/ready.json ]]; do
    ((SECONDS < deadline)) || fail "$(cat sim.log)"
    read -rt 0.05 <> <(:) || true
done
whole_life running 'simulator runs'

it 'names the file in which a certificate really stands'
mv running/certificates/root-ca.json running/certificates/another-name.json
kill -HUP "$sim_pid"
until grep -q 'reread' sim.log; do
    ((SECONDS < deadline + 60)) || fail "$(cat sim.log)"
    read -rt 0.05 <> <(:) || true
done
refuses 'certificates/another-name.json' delete -n root-ca --etag stale --state running
# What went through the simulator is in the folder when it is gone.
stop_program "$sim_pid" TERM
is "$(certificate show -n root-ca --state running | jq -r '.properties.isVerified')" true

it 'helps with examples, and says what is missing'
certificate generate-verification-code --help >help.txt
holds help.txt 'Examples:'
for group in az certificate certs; do
    "$dpsbench" "$group" --help >help.txt
    holds help.txt 'Examples:'
    is "$("$dpsbench" --help | { grep -c "$group root-ca\|$group make" || true; })" 0
done
refuses 'the following arguments are required: --certificate-name/--name/-n, --etag/-e' generate-verification-code
refuses "did you mean 'list'?" lst --state fresh
refuses "No such file or directory" list
holds "$scratch/stderr" 'neither --state nor DPSBENCH_STATE is given'

it 'lists a certificate that stands at the top of its file as one under properties'
for place in by-hand az-show; do
    mkdir -p "lists/$place"
    cp -R "$DPSBENCH_SOURCE/fixtures/enrollments/$place/certificates" "lists/$place/"
    certificate list --state "lists/$place" | jq '.value[].properties | {certificate, expiry, isVerified, subject, thumbprint}' >"$place.txt"
done
cmp by-hand.txt az-show.txt || fail "$(cat by-hand.txt az-show.txt)"
is "$(jq -r '[.isVerified, .subject] | @tsv' by-hand.txt)" $'true\tCN=Example Root CA,O=Example'
