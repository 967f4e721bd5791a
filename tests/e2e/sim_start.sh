#!/bin/bash
# dpsbench-sim as a program: arguments, ready.json, the folder's lock, signals, and that nothing is left behind.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

# usage TEXT [ARGUMENT]...: ends with status 2 and says TEXT
usage() {
    local text=$1 code=0
    shift
    "$sim_program" "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
    is "$code" 2
    holds "$scratch/err" "$text"
    is "$(cat "$scratch/out")" ''
}

it 'refuses wrong arguments with status 2 and says what to do'
usage '--state DIR is missing'
usage "give a number from 1 to 1000" --state "$scratch/none" --time-scale 0
usage "write a numeric address and a port" --state "$scratch/none" --listen localhost:1
usage "write a numeric address and a port" --state "$scratch/none" --listen 127.0.0.1:99999
usage "knob 'profile' takes one of 'azure', 'connack'" --state "$scratch/none" --profile azur
usage 'give 1.2 or 1.3' --state "$scratch/none" --tls-max 1.1
usage 'give rsa-2048 or p-256' --state "$scratch/none" --server-key dsa
usage 'give a host name or a numeric address' --state "$scratch/none" --host a/b
usage "'extra' is no option" --state "$scratch/none" extra
usage "unknown option '--stat-dir'" --stat-dir "$scratch/none"
missing "$scratch/none"

it 'says its version, and in its help the examples and every knob'
"$sim_program" --version >"$scratch/out"
grep -qE '^dpsbench-sim [0-9]+\.[0-9]+\.[0-9]+$' "$scratch/out" || fail "$(cat "$scratch/out")"
"$sim_program" --help >"$scratch/out"
for word in 'Examples:' --state --listen retry_after_s polls_until_assigned is_silent close_after_refusal_ms; do
    holds "$scratch/out" "$word"
done

it 'makes the folder, prints one ready line and writes the same to ready.json'
start_sim "$scratch/sim one"
is "$(jq -c . <<<"$ready_line")" "$(jq -c . "$state/ready.json")"
is "$(ready program)" dpsbench-sim
is "$(ready pid)" "$sim_pid"
is "$(ready host)" global.azure-devices-provisioning.net
is "$(ready id_scope)" "$id_scope"
for member in root_ca control_ca control_cert control_key observer_ca observer_cert observer_key events; do
    [[ $(ready "$member") == /* && -f $(ready "$member") ]] || fail "$member: $(ready "$member")"
done
is "$(stat -c %a "$(ready control_key)")" 600
is "$(stat -c %a "$(ready observer_key)")" 600
[[ -S $(ready hand) ]] || fail "no socket: $(ready hand)"
runtime=$(dirname "$(ready hand)")
is "$(stat -c %a "$runtime")" 700

it 'shows a certificate that is good for the names of Azure and for loopback'
for name in global.azure-devices-provisioning.net any-hub.azure-devices.net localhost; do
    openssl s_client -connect "$(ready dps)" -CAfile "$(ready root_ca)" -verify_return_error -verify_hostname "$name" -servername "$name" \
        </dev/null >"$scratch/out" 2>&1 || fail "$name: $(cat "$scratch/out")"
done
holds "$scratch/out" 'TLSv1.2'

it 'refuses a second start on the same folder and names the holder'
code=0
"$sim_program" --state "$state" >"$scratch/out" 2>"$scratch/err" || code=$?
is "$code" 3
holds "$scratch/err" "is in use by dpsbench-sim with pid $sim_pid"

it 'refuses a second virtual DK on the folder of another and names that'
vdk=("$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/vdk" --connect 127.0.0.1:1 --id-scope 0ne1 --registration-id r --sec-tag 1)
start_program vdk "${vdk[@]}"
code=0
"${vdk[@]}" >"$scratch/out" 2>"$scratch/err" || code=$?
is "$code" 3
holds "$scratch/err" "state folder '$scratch/vdk' is in use by dpsbench-vdk with pid $(jq .pid "$scratch/vdk.ready")"

it 'says which port is in use, with status 3'
code=0
"$sim_program" --state "$scratch/sim two" --server-key p-256 --listen "$(ready dps)" >"$scratch/out" 2>"$scratch/err" || code=$?
is "$code" 3
holds "$scratch/err" "$(port dps)"
holds "$scratch/err" 'Address already in use'
missing "$scratch/sim two/ready.json"

it 'ends on SIGTERM with status 0 and leaves nothing'
children=$(pgrep -P "$sim_pid" | tr '\n' ' ')
[[ -n $children ]] || fail 'no child process: where is Mosquitto?'
end_sim TERM
missing "$state/ready.json"
missing "$runtime"
for child in $children; do
    [[ ! -d /proc/$child ]] || fail "process $child is left"
done

it 'keeps its root over starts, and makes the leaf anew when a host is added'
root_before=$(sha256sum <"$state/pki/root.crt.pem") leaf_before=$(sha256sum <"$state/pki/leaf.crt.pem")
start_sim "$state"
is "$(sha256sum <"$state/pki/leaf.crt.pem")" "$leaf_before"
end_sim INT
start_sim "$state" --host dps.example.org --host 192.0.2.7
is "$(ready host)" dps.example.org
is "$(sha256sum <"$state/pki/root.crt.pem")" "$root_before"
openssl s_client -connect "$(ready dps)" -CAfile "$(ready root_ca)" -verify_return_error -verify_hostname dps.example.org </dev/null >"$scratch/out" 2>&1 ||
    fail "$(cat "$scratch/out")"
openssl x509 -in "$state/pki/leaf.crt.pem" -noout -checkip 192.0.2.7 | grep -q 'does match' || fail 'the address is not in the leaf'

it 'leaves nothing after kill -9, and starts again at once'
runtime=$(dirname "$(ready hand)")
children=$(pgrep -P "$sim_pid" | tr '\n' ' ')
end_sim KILL || true
start_sim "$state"
for child in $children; do
    timeout 20 tail --pid="$child" -f /dev/null || fail "process $child outlived kill -9"
done
missing "$runtime"
end_sim TERM

it 'refuses another kind of server key for a folder that has one'
usage 'leave --server-key out' --state "$state" --server-key rsa-2048
