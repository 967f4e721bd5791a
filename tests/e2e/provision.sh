#!/bin/bash
# dpsbench provision on a small line: all boards at once, one that fails, the same board twice, a kill in the middle, the same command again.
set -euo pipefail

# shellcheck source=tests/e2e/provision_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/provision_lib.sh"

make_ca
start_simulator --id-scope "$scope"
start_boards 2
# the third one takes AT commands through a shell, which stores CR LF
start_board 3 --misbehaviour uart-shell
await_board 3
make_rig 3

it 'refuses to begin what would fail for each board'
provision
exits 2
holds "$scratch/stderr" 'the simulator has no enrollments'
provision --enroll line-1 --id '{imie}'
exits 2
holds "$scratch/stderr" '{imei}'
provision --enroll line-1 --devices slot-1,slot-9
exits 2
holds "$scratch/stderr" "there is no device 'slot-9'"

it 'goes on after a kill: what was answered is kept, no key is made twice'
"$dpsbench" provision --rig "$scratch/line.yaml" --ca "$scratch/ca/ca.crt.pem" --ca-key "$scratch/ca/ca.key.pem" --out "$scratch/lot" \
    --enroll line-1 --ca-root "$scratch/ca/root.crt.pem" --jobs 1 >"$scratch/killed" 2>&1 &
pid=$!
started+=("$pid")
deadline=$((SECONDS + 120))
until jq -e '.request_sha256 != ""' "$scratch/lot/boards/$(imei_of 2)/state.json" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "no second board: $(cat "$scratch/killed")"
    read -rt 0.02 <> <(:) || true
done
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
is "$(wc -l <"$scratch/lot/journal.jsonl")" 1
cp "$scratch/lot/boards/$(imei_of 2)/request.der" "$scratch/request.der"
# its worker ends with it, and lets the port go
until flock -n "$scratch/lot/claims/imei-$(imei_of 2)" true; do
    ((SECONDS < deadline)) || fail 'the worker lives on'
    read -rt 0.05 <> <(:) || true
done
provision
exits 0
is "$(ended already) $(ended 'done')" '1 2'
cmp "$scratch/request.der" "$scratch/lot/boards/$(imei_of 2)/request.der" || fail 'the key was made again'

it 'has a row a board, and no key'
is "$(manifest '.boards | length')" 3
is "$(manifest '[.boards[] | select(.proof.kind and .is_verified)] | length')" 3
is "$(wc -l <"$scratch/lot/manifest.csv")" 4
is "$(manifest '[.boards[].certificate.serial] | unique | length')" 3
! grep -rqF 'PRIVATE KEY' "$scratch/lot" || fail 'a private key is in the folder'
id=nrf-$(imei_of 2)
is "$(manifest '.boards[] | select(.device == "slot-2").registration_id')" "$id"
chain=$scratch/lot/boards/$(imei_of 2)/chain.pem
openssl verify -purpose sslclient -CAfile "$scratch/ca/root.crt.pem" -untrusted "$chain" "$chain" >/dev/null
is "$(openssl x509 -in "$chain" -noout -subject -nameopt RFC2253)" "subject=CN=$id"
is "$(openssl x509 -in "$chain" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g')" "$(manifest '.boards[] | select(.device == "slot-2").certificate.sha256')"
is "$(events dps.assigned "$id" | jq -r .enrollment.id | head -n 1)" line-1

it 'does nothing to boards that are done'
"$dpsbench" credentials wear --json >"$scratch/wear-before"
"$dpsbench" sim ticket --state "$scratch/state" --control 127.0.0.1 --out "$scratch/ticket" >/dev/null
provision --state "$scratch/ticket"
exits 2
holds "$scratch/stderr" 'a ticket does not hold'
provision --state "$scratch/ticket" --root "$(ready sim root_ca)"
exits 0
is "$(ended already)" 3
"$dpsbench" credentials wear --json | cmp - "$scratch/wear-before" || fail 'something was written'

it 'changes the server root alone, and keeps the proof'
provision --root "$DPSBENCH_SOURCE/fixtures/roots/DigiCertGlobalRootG2.crt.pem" --no-proof
exits 0
is "$(ended 'done')" 3
is "$(manifest '[.boards[] | select(.proof.kind)] | length')" 3
# the board that was killed may lack the count that was under way
is "$("$dpsbench" credentials wear --device "imei:$(imei_of 1)" --json | jq -c '[.[] | [.type, .writes, .key_generations]]')" '[[0,2,0],[1,1,0],[2,0,1]]'
provision
exits 0
is "$(ended 'done')" 3

it 'notices the same board twice, and a board that fails stops no other'
start_board 4 --imei "$(imei_of 1)"
start_board 5 --registration-id firmware-has-another
start_board 6
for i in 4 5 6; do await_board "$i"; done
make_rig 6
provision --timeout 60 --jobs 1
exits 1
is "$(ended already) $(ended 'done') $(ended failed)" '3 1 2'
jq -r '.boards[] | select(.device == "slot-4").text' "$scratch/stdout" | grep -q 'another board with the same IMEI' || fail "$(cat "$scratch/stdout")"
jq -r '.boards[] | select(.device == "slot-5").text' "$scratch/stdout" >"$scratch/text"
grep -qE 'registration-id.mismatch|saw no registration' "$scratch/text" || fail "$(cat "$scratch/text")"
is "$(manifest '.boards | length')" 4

it 'ends cleanly on Ctrl-C, and makes keys on this host where wanted'
make_rig 3
"$dpsbench" provision --rig "$scratch/line.yaml" --ca "$scratch/ca/ca.crt.pem" --ca-key "$scratch/ca/ca.key.pem" --out "$scratch/lot" --replace \
    --key host --jobs 1 >"$scratch/stopped" 2>"$scratch/stopped.log" &
pid=$!
started+=("$pid")
deadline=$((SECONDS + 120))
until grep -qs '1/3' "$scratch/stopped"; do
    ((SECONDS < deadline)) || fail "no board: $(cat "$scratch/stopped" "$scratch/stopped.log")"
    read -rt 0.02 <> <(:) || true
done
kill -INT "$pid"
code=0
wait "$pid" || code=$?
is "$code" 130
holds "$scratch/stopped" 'the same command goes on'
is "$(manifest '.boards | length')" 4
is "$(manifest '.boards[] | select(.device == "slot-1").key')" host
! grep -rqF 'PRIVATE KEY' "$scratch/lot" || fail 'a private key is in the folder'
