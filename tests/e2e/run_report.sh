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
run_cases --order listed provisioning/sub-ca refused/wrong-chain:azure server/root-missing
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

# show ARGUMENT...: output in $scratch/stdout and $scratch/stderr, exit code in $code.
show() {
    code=0
    "$dpsbench" show "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

it 'shows the table of a run again'
run_cases refused/cn-mismatch provisioning/guide
exits 0
cp "$scratch/stdout" "$scratch/table"
show "$out"
exits 0
cmp "$scratch/table" "$scratch/stdout" || fail "$(diff "$scratch/table" "$scratch/stdout")"
show "$out/results.json"
exits 0
cmp "$scratch/table" "$scratch/stdout" || fail 'results.json is not taken for its folder'
show "$out" --json
exits 0
is "$(jq -cS . "$scratch/stdout")" "$(jq -cS . "$results")"

it 'shows the rows of a case, each with its lines and the three views in time'
show "$out" refused/cn-mismatch --wide
exits 0
is "$(grep -c 'CONSOLE .* | WIRE .* | SERVICE$' "$scratch/stdout")" 2
holds "$scratch/stdout" '  rule      registration-id.mismatch (surface connack)'
holds "$scratch/stdout" 'err: Connection was rejected with return code 5 [azure_iot_hub_dps]'
# With its number, where the end of an earlier connection falls into the row.
grep -qE '\| [0-9]*<- CONNACK 5 ' "$scratch/stdout" || fail "no CONNACK 5: $(cat "$scratch/stdout")"
holds "$scratch/stdout" "refused, registration-id.mismatch (connack): the certificate's CN is 'some-other-device'"
# First the service decides, then the wire carries it, then the console tells it.
show "$out" refused/cn-mismatch:connack --wide
grep -nE 'refused, registration-id|<- CONNACK 5|return code 5' "$scratch/stdout" | grep -vE 'expected|again' | cut -d : -f 1 >"$scratch/order"
is "$(sort -n "$scratch/order" | tr '\n' ' ')" "$(tr '\n' ' ' <"$scratch/order")"
show "$out" refused/cn-mismatch:connack --json
exits 0
is "$(jq -r '[.rows[0].events[] | select(.text | test("refused, registration-id|<- CONNACK 5|return code 5")) | .view] | join(" ")' "$scratch/stdout")" 'service wire console'
is "$(jq -r '.rows[0].has_one_clock' "$scratch/stdout")" true

it 'keeps to the width of the page'
for width in 60 80 100 160; do
    show "$out" provisioning/guide --width "$width"
    exits 0
    [[ $(sed -n '/CONSOLE/,$p' "$scratch/stdout" | wc -L) -le $width ]] || fail "wider than $width"
done

it 'takes the newest run when none is named'
mkdir -p "$scratch/reports/out/z-old"
jq '.rows = []' "$results" >"$scratch/reports/out/z-old/results.json"
touch -d '1 hour ago' "$scratch/reports/out/z-old/results.json"
cp -r "$out" "$scratch/reports/out/new"
(cd "$scratch" && "$dpsbench" show | tail -n 3) >"$scratch/text"
holds "$scratch/text" 'report: reports/out/new/results.json'
(cd "$scratch" && "$dpsbench" show refused/cn-mismatch:azure) >"$scratch/text"
holds "$scratch/text" 'refused/cn-mismatch:azure: pass'

it 'says what is wrong with a folder, a row or a version, and never crashes'
show "$scratch"
exits 2
holds "$scratch/stderr" 'it holds no results.json, so it is not the folder of a run'
show "$scratch/nowhere"
exits 2
holds "$scratch/stderr" 'there is no such folder'
show "$out" refused/cn-mismach
exits 5
holds "$scratch/stderr" "did you mean 'refused/cn-mismatch'?"
show "$out" refused provisioning
exits 2
show --wdie
exits 2
holds "$scratch/stderr" "did you mean '--wide'?"
broken=$scratch/broken
cp -r "$out" "$broken"
jq '.v = 99 | .version = "9.9"' "$results" >"$broken/results.json"
show "$broken"
exits 2
holds "$scratch/stderr" 'written by a newer dpsbench (9.9)'
head -c 700 "$results" >"$broken/results.json"
show "$broken"
exits 2
holds "$scratch/stderr" 'not valid JSON here'
cp "$results" "$broken/"
first=$(report .rows[0].id) line=$(report '.rows[0].timeline.first + 2')
sed -i "${line}s/.*/{\"v\":1,\"kind\":/" "$broken/timeline.jsonl"
show "$broken" "$first"
exits 2
holds "$scratch/stderr" "line $line of"
holds "$scratch/stdout" "$first: pass"
rm "$broken/timeline.jsonl"
show "$broken" "$first"
exits 2
holds "$scratch/stderr" 'timeline.jsonl'
# Nothing that stands in a file reaches the terminal as a command.
jq '.rows[0].title = "\u001b[2J\u0007evil" | .rows[0].outcome = .rows[0].title | .rows[0].account = null | .rows[0].rule = null' "$results" >"$broken/results.json"
show "$broken"
exits 0
lacks "$scratch/stdout" $'\033'
show "$broken" "$first"
lacks "$scratch/stdout" $'\033'

it 'says with which versions of what it ran'
is "$(report .versions.harness.dpsbench)" "$("$dpsbench" --version | cut -d ' ' -f 2)"
is "$(report .versions.simulator.mosquitto)" "$({ mosquitto -h || true; } | sed -n 's/^mosquitto version //p')"
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
    show "$out"
    exits 0
    holds "$scratch/stdout" 'Not at its end: '
    show "$out" "$(report .rows[0].id)"
    exits 0
done
