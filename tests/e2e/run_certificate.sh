#!/bin/bash
# dpsbench certificate: before a simulator's first start, and through the control plane while one runs. Certificates by the openssl command line.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

certificate() {
    "$dpsbench" certificate "$@" 2>"$scratch/stderr"
}

cd "$scratch"
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -sha256 -subj '/CN=e2e root' 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 30 -sha256 -subj '/CN=other root' 2>/dev/null

# sign CODE CA: a verification certificate, as the documentation makes it.
sign() {
    openssl req -new -newkey rsa:2048 -nodes -keyout verification.key -out verification.csr -subj "/CN=$1" 2>/dev/null
    openssl x509 -req -in verification.csr -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -out verification.pem -days 1 -sha256 2>/dev/null
}

# Everything a person does with a certificate; $1: the state folder.
whole_life() {
    local state=$1 code etag_1 etag_2 etag_3 exit_code

    it "creates a certificate, unverified ($2)"
    etag_1=$(certificate create root-ca --path root.pem --state "$state" | jq -r .etag)
    is "$(certificate show root-ca --state "$state" | jq -r '.properties.isVerified')" false
    certificate show root-ca --state "$state" >show.json
    is "$(tail -n 1 show.json)" '}'
    certificate list --state "$state" >list.txt
    holds list.txt 'root-ca'
    holds list.txt 'unverified'

    it "prints the verification code alone ($2)"
    code=$(certificate verification-code root-ca --state "$state")
    [[ $code =~ ^[0-9A-F]{48}$ ]] || fail "'$code' is no code"
    etag_2=$(certificate show root-ca --state "$state" | jq -r .etag)
    [[ $etag_1 != "$etag_2" ]] || fail 'the etag is the same'

    it "refuses a proof by another key ($2)"
    sign "$code" other
    exit_code=0
    certificate verify root-ca --certificate verification.pem --state "$state" || exit_code=$?
    is "$exit_code" 2
    is "$(certificate show root-ca --state "$state" | jq -r '.properties.isVerified')" false

    it "verifies with the right proof, and gives a new etag ($2)"
    sign "$code" root
    etag_3=$(certificate verify root-ca --certificate verification.pem --state "$state" | jq -r .etag)
    [[ $etag_2 != "$etag_3" ]] || fail 'the etag is the same'
    is "$(certificate show root-ca --state "$state" | jq -r '.properties.isVerified')" true

    it "refuses a stale etag, a name that is taken, and one that does not exist ($2)"
    exit_code=0
    certificate verification-code root-ca --etag "$etag_1" --state "$state" || exit_code=$?
    is "$exit_code" 2
    exit_code=0
    certificate create root-ca --path root.pem --state "$state" || exit_code=$?
    is "$exit_code" 2
    holds stderr 'exists already'
    exit_code=0
    certificate show root-cb --state "$state" || exit_code=$?
    is "$exit_code" 2

    it "takes DER, and what the uploader says ($2)"
    openssl x509 -in other.pem -outform DER -out other.der
    certificate create other --path other.der --verified true --state "$state" >/dev/null
    is "$(certificate list --json --state "$state" | jq -r '.[] | select(.name == "other") | .properties.isVerified')" true
    certificate delete other --state "$state"
    is "$(certificate list --json --state "$state" | jq length)" 1
}

mkdir fresh
whole_life fresh 'no simulator yet'

it 'gives the same through a running simulator'
mkdir running
"$DPSBENCH_BIN/dpsbench-sim" --state running --listen 127.0.0.1:0 >ready.line 2>sim.log &
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
exit_code=0
certificate delete root-ca --etag stale --state running || exit_code=$?
is "$exit_code" 2
holds stderr 'certificates/another-name.json'
# What went through the simulator is in the folder when it is gone.
stop_program "$sim_pid" TERM
is "$(certificate show root-ca --state running | jq -r '.properties.isVerified')" true

it 'helps with examples, and says what is missing'
certificate verification-code --help >help.txt
holds help.txt 'Examples:'
for group in certificate certs; do
    "$dpsbench" "$group" --help >help.txt
    holds help.txt 'Examples:'
    is "$("$dpsbench" --help | grep -c "$group root-ca\|$group make")" 0
done
exit_code=0
certificate verification-code root-ca || exit_code=$?
is "$exit_code" 2
holds stderr '--state DIR is missing'
exit_code=0
certificate lst --state fresh || exit_code=$?
is "$exit_code" 2
holds stderr "did you mean 'list'?"

it 'lists a certificate that stands at the top of its file as one under properties'
for place in by-hand az-show; do
    mkdir -p "lists/$place"
    cp -R "$DPSBENCH_SOURCE/fixtures/enrollments/$place/certificates" "lists/$place/"
    certificate list --state "lists/$place" >"$place.txt"
done
cmp by-hand.txt az-show.txt || fail "$(cat by-hand.txt az-show.txt)"
grep -qE '^root-ca +verified +[A-Z][a-z]{2}, .* GMT +CN=Example Root CA' by-hand.txt || fail "$(cat by-hand.txt)"
