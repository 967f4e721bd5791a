#!/bin/bash
# What a run leaves behind: files that are whole and parse, whenever it is killed.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# fits_subset FILE: junit.xml is of the form that all readers know.
fits_subset() {
    command -v xmllint >/dev/null || fail 'xmllint is missing: apt-get install libxml2-utils'
    xmllint --noout --nonet --schema "$DPSBENCH_SOURCE/tests/junit/subset.xsd" "$1" 2>"$scratch/xmllint" || fail "$(cat "$scratch/xmllint")"
}

# xml XPATH: of the last run's junit.xml.
xml() {
    xmllint --nonet --xpath "$1" "$out/junit.xml"
}

# All files of the last run are whole, and say the same.
is_whole() {
    local file
    jq -e .v "$results" >"$scratch/jq" || fail "results.json is broken"
    fits_subset "$out/junit.xml"
    # results.json is written first: a kill may come between the two.
    [[ $(($(report '.rows | length') - $(xml 'count(//testcase)'))) == [01] ]] || fail 'junit.xml and results.json have other rows'
    is "$(jq -es 'length' "$out/timeline.jsonl")" "$(wc -l <"$out/timeline.jsonl")"
    [[ $(report '[.rows[].timeline.last // 0] | max') -le $(wc -l <"$out/timeline.jsonl") ]] || fail 'rows name lines that are not there'
    for file in "$out"/*/console.log; do
        is "$(tail -c 1 "$file" | od -An -c | tr -d ' ')" '\n'
    done
}

it 'writes junit.xml in the subset that all readers know, one test a row'
run_cases provisioning/guide refused/wrong-chain server/root-missing
exits 0
is_whole
is "$(xml 'string(/testsuites/@failures)')" 0
is "$(xml 'count(//testcase[@classname="virtual-dk.refused"])')" 2
xml 'string(//testcase[@name="wrong-chain:azure"]/system-out)' >"$scratch/text"
holds "$scratch/text" 'rule: chain.unknown-ca (surface res401)'
holds "$scratch/text" 'again: '
is "$(xml 'string(//property[@name="complete"]/@value)')" true

it 'tells the same lines in results.json and junit.xml about a row that failed'
run_cases --rig "$(rig weak reference sends-leaf-only)" provisioning/sub-ca
exits 1
is_whole
for line in expected got rule mend again; do
    xml 'string(//failure)' | grep -qF -- "$line: $(report ".rows[0].account.$line")" || fail "$line is not in junit.xml"
    holds "$scratch/stdout" "$(report ".rows[0].account.$line")"
done
is "$(xml 'string(//failure/@message)')" "$(report .rows[0].reason.text)"

it 'keeps the public certificates of each row, and no key'
run_cases provisioning/sub-ca refused/wrong-chain:azure server/root-missing
exits 0
is "$(report '.rows | map(.certificates) | join(" ")')" \
    'certificates/provisioning/sub-ca certificates/refused/wrong-chain@azure certificates/server/root-missing'
folder=$out/certificates/provisioning/sub-ca
for member in root sub-ca leaf; do
    openssl x509 -in "$folder/$member.crt.pem" -noout || fail "$member"
done
is "$(cat "$folder/leaf.crt.pem" "$folder/sub-ca.crt.pem")" "$(cat "$folder/device.client-cert.crt.pem")"
openssl verify -x509_strict -CAfile "$folder/device.root-ca.crt.pem" -untrusted "$folder/server.chain.crt.pem" "$folder/server.chain.crt.pem" \
    >"$scratch/verify" || fail "$(cat "$scratch/verify")"
missing "$out/certificates/server/root-missing/device.root-ca.crt.pem"
! grep -rl 'PRIVATE KEY' "$out" || fail 'a key is in the report'

it 'says with which versions of what it ran'
is "$(report .versions.harness.dpsbench)" "$("$dpsbench" --version | cut -d ' ' -f 2)"
is "$(report .versions.simulator.mosquitto)" "$(mosquitto -h | sed -n 's/^mosquitto version //p')"
is "$(report '[.versions.harness.openssl, .versions.harness.libuv, .versions.harness.libmosquitto, .versions.simulator.openssl] | map(test("^[0-9]+[.]")) | all')" true
report .rig.devices[0].identity.firmware | grep -q ^mfw_ || fail 'no firmware'
is "$(xml 'string(//property[@name="version.simulator.mosquitto"]/@value)')" "$(report .versions.simulator.mosquitto)"

# Each at another moment; what a row was worth when it ended is not lost.
for moment in 1 2 3; do
    it "leaves whole files behind when it is killed after row $moment"
    start_run provisioning
    await_row "$moment"
    kill -KILL "$run_pid"
    { end_run; } 2>/dev/null
    is_whole
    is "$(report .is_complete)" false
    is "$(xml 'string(//property[@name="complete"]/@value)')" false
    [[ $(report '.rows | length') -ge $moment ]] || fail 'a row is lost'
done
