#!/bin/bash
# The gateway guide's way: `openssl req -x509 -newkey rsa:2048`, its prompts answered, the certificate uploaded as an individual enrollment.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

name=gateway0001
state="$scratch/state"
mkdir -p "$scratch/openssl"
cd "$scratch/openssl"

it 'the certificate: at least one field besides the Common Name'
printf 'IT\n.\n.\nExample\n.\n%s\n.\n' "$name" |
    openssl req -x509 -newkey rsa:2048 -keyout root-private-key.pem -nodes -out root-cert.pem >openssl.log 2>&1

it 'the individual enrollment: primary certificate, device id, everything else at its default'
"$DPSBENCH_BIN/dpsbench" az iot dps enrollment create --enrollment-id "$name" --device-id "$name" --attestation-type x509 \
    --certificate-path root-cert.pem --state "$state" >/dev/null

start_simulator --profile connack

it 'the gateway is assigned'
start_device gateway "$name"
write_credentials gateway root-cert.pem root-private-key.pem "$(ready sim root_ca)"
assigned gateway "$name"
is "$(events dps.assigned "$name" | jq -r '[.enrollment.kind, .enrollment.id] | @tsv' | head -n 1)" $'individual\t'"$name"
is "$(observe "$scratch/observed" "$name" root-cert.pem root-private-key.pem)" 27

it 'a gateway that says another name than its certificate is refused with return code 5'
start_device stranger gateway0002
write_credentials stranger root-cert.pem root-private-key.pem "$(ready sim root_ca)"
refused stranger gateway0002 root-cert.pem root-private-key.pem
verdict=$(events attestation.verdict gateway0002 | head -n 1)
is "$(jq -r '.evidence | [.registration_id, .leaf_cn] | @tsv' <<<"$verdict")" $'gateway0002\t'"$name"

it 'a certificate that nobody uploaded is refused too'
printf 'IT\n.\n.\nExample\n.\ngateway0003\n.\n' |
    openssl req -x509 -newkey rsa:2048 -keyout other.key -nodes -out other.pem >>openssl.log 2>&1
is "$(observe "$scratch/observed" gateway0003 other.pem other.key)" 5
[[ -n $(events attestation.verdict gateway0003 | jq -r '.rule // empty') ]] || fail 'no rule in the verdict'
