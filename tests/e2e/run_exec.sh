#!/bin/bash
# Programs as devices (docs/exec.md): openssl s_client is one that checks its server and knows no MQTT.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# program NAME COMMAND: a rig file with one device of kind exec; prints its path. COMMAND is a YAML list.
program() {
    cat >"$scratch/$1.yaml" <<RIG
format: 1
devices:
  - id: program
    kind: exec
    client: $1
    command: $2
    registration_id: program-1
    id_scope: 0ne000AAAA1
RIG
    printf '%s' "$scratch/$1.yaml"
}

s_client="openssl s_client -connect {address} -servername {host} -CAfile {root} -cert {chain} -key {key} -verify_return_error -verify_hostname {host}"
look='stat -c "%a %n" {chain} {key} {root}; stat -c %a {state}; grep -c BEGIN {chain}; echo scale {time_scale} scope {id_scope} id {id} rig {rig}'

it 'is judged by wire and service: a client that looks at its server passes what is about servers'
run_cases --rig "$(program good "[sh, -c, '$look; exec $s_client']")" server
exits 0
is "$(report '[.rows[] | select(.verdict == "pass")] | length')" 9
is "$(report '.rig.devices[0] | .kind, .client, .judged_on' | paste -sd' ')" 'exec good wire, service'
is "$(report '.rows[-1] | .id + " " + .verdict')" 'server/root-missing pass'
holds "$scratch/stderr" 'program is judged on wire, service; what it prints is recorded'

it 'gets its credentials as files that nobody else can read, and its words filled in'
holds "$out/program/console.log" '600 '
is "$(grep -cE ' (600 /.*\.private/program/(chain|key|root)\.pem|700)$' "$out/program/console.log")" 35
holds "$out/program/console.log" "scale $DPSBENCH_TIME_SCALE scope 0ne000AAAA1 id program-1 rig $scratch"
lacks "$out/program/console.log" 'PRIVATE KEY'
missing "$out/.private"

it 'fails where it does what it must not, and says what: no name is checked here'
run_cases --rig "$(program blind "[sh, -c, 'exec ${s_client%-verify_hostname*}']")" server/expired server/host-name-mismatch
exits 1
is "$(report '.rows[] | select(.verdict == "fail") | .id')" server/host-name-mismatch

it 'is judged by what it must never do where lines alone say what it does, once another row has passed'
connect='printf "\\020\\014\\000\\004MQTT\\004\\002\\000\\074\\000\\000"; sleep 1'
trusting="[sh, -c, 'if [ -e {root} ]; then exec $s_client; fi; ($connect) | openssl s_client -quiet -connect {address} -servername {host}']"
run_cases --rig "$(program trusting "$trusting")" server/expired server/root-missing
exits 1
is "$(report '.rows[] | select(.id == "server/root-missing") | .verdict + " " + .reason.text')" 'fail wire: it happened, and must never'
run_cases --rig "$(program good "[sh, -c, 'exec $s_client']")" server/root-missing device/key-mismatch
exits 77
is "$(report '[.rows[].reason.text] | unique | join(",")')" \
    "'program' is judged by silence alone here, as it would be if it did not work: no other row has passed on it yet in this run"

it 'is not blamed for a command that does not work'
run_cases --rig "$(program absent '[there-is-no-such-program]')" server/expired
exits 3
holds "$scratch/stdout" "start 'there-is-no-such-program'"
run_cases --rig "$(program broken '[sh, -c, "echo cannot find module >&2; exit 7"]')" server/expired
exits 3
is "$(report '.rows[0].reason.text')" "the program of 'program' ended without a connection (exit status 7): cannot find module"

run_cases --rig "$(program silent '[sh, -c, "echo scale {time_scale}, waiting for the modem; sleep 600"]')" --time-scale 100 server/expired
exits 3
is "$(report '.rows[0].reason.text')" "the program of 'program' made no connection in all the time of the row; its last line: scale 100, waiting for the modem"

it 'crashes as a device does'
run_cases --rig "$(program crashing '[sh, -c, "kill -SEGV $$"]')" server/expired
exits 3
is "$(report '.rows[0].reason.text')" 'the program crashed: signal 11 (Segmentation fault)'

it 'is ended when it prints without end, before the disk is full'
run_cases --rig "$(program flooding "[yes, '$(printf %03000d 0)']")" server/expired
exits 3
is "$(report '.rows[0].reason.text')" 'the program crashed: ended: more than 100000 lines or 16 MiB of output'
(($(du -sk "$out" | cut -f1) < 100000)) || fail "$(du -sk "$out")"

it 'is started anew by a reset, keeps its state, and loses it with a chip erase; what it started ends with it'
cases=$scratch/cases
mkdir -p "$cases/server"
sed 's/^budget_s/steps: [reset, reset, chip-erase, reset, reset]\n&/' "$DPSBENCH_SOURCE/cases/server/expired.yaml" >"$cases/server/expired.yaml"
run_cases --cases "$cases" --rig "$(program counting "[sh, -c, 'echo >>{state}/boots; echo boot \$(wc -l <{state}/boots); tail -f {chain} & setsid tail -f {root} & exec $s_client']")"
exits 0
is "$(sed -n 's/.* boot //p' "$out/program/console.log" | paste -sd' ')" '1 2 1 2 3'
nobody_left "$out"

it 'leaves nothing of a program behind when it is killed itself: neither what that started, nor its key'
start_run --rig "$(program leaving "[sh, -c, 'setsid tail -f {chain} & tail -f {key} & sleep 600']")" server/expired
deadline=$((SECONDS + 60))
until pgrep -f "tail -f .*$out/.private/program/key.pem" >/dev/null; do
    ((SECONDS < deadline)) || fail 'the program does not start'
    read -rt 0.02 <> <(:) || true
done
kill -KILL "$run_pid"
{ end_run; } 2>/dev/null
deadline=$((SECONDS + 60))
while [[ -e $out/.private ]]; do
    ((SECONDS < deadline)) || fail "its private folder is still there: $(pgrep -af "$out/.private")"
    read -rt 0.02 <> <(:) || true
done
nobody_left "$out"

it 'has a console that counts when a dialect knows its lines'
sed 's/^    command/    dialect: nordic\n&/' "$(program talking "[sh, -c, 'echo \"*** Booting nRF Connect SDK v2.9.0 ***\"; exec $s_client']")" >"$scratch/dialect.yaml"
run_cases --rig "$scratch/dialect.yaml" server/expired
exits 1
is "$(report '.rows[0].reason.view')" console

it 'lives in real time unless it takes the time scale'
run_cases --rig "$scratch/dialect.yaml" --time-scale 5 server/expired
exits 2
holds "$scratch/stderr" 'so does a program that is not told the time scale: it is 1, not 5'
