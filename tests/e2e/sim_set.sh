#!/bin/bash
# dpsbench sim: the knobs of a simulator that runs, as a person turns them; and what happens there, live.
# shellcheck disable=SC2016,SC2119  # $dps is text; no arguments of ours are meant
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
unset DPSBENCH_STATE

# refuses TEXT WORD...: exit 2 or 3, nothing on stdout, one line with the text.
refuses() {
    local text=$1 code=0
    shift
    "$dpsbench" sim "$@" >"$scratch/out" 2>"$scratch/err" || code=$?
    [[ $code == 2 || $code == 3 ]] || fail "sim $*: exit status $code"
    is "$(wc -c <"$scratch/out")" 0
    is "$(wc -l <"$scratch/err")" 1
    holds "$scratch/err" "$text"
}

it 'says what is missing before it looks for a simulator, and how to start one when there is none'
refuses 'whose knobs?' set
refuses 'whose knobs?' set delay_ms=3
refuses 'nothing to turn' set dev-01
refuses '--state DIR' set dev-01 connack=5
refuses 'dpsbench-sim --state' show --state "$scratch/none"
refuses 'one argument too many' show dev-01

it 'explains every knob, one layer, and refuses what is neither'
"$dpsbench" sim knobs >"$scratch/out"
"$dpsbench" sim knobs --json | jq -r '.knobs[].name' >"$scratch/names"
while read -r name; do grep -q "^$name  \[" "$scratch/out" || fail "$name"; done <"$scratch/names"
is "$("$dpsbench" sim knobs net --json | jq -r '[.knobs[].layer] | unique | .[]')" net
refuses "did you mean 'retry_after_s'" knobs retry_afer_s

start_simulator
export DPSBENCH_STATE=$scratch/state

it 'turns knobs for a device and on a lane, keeps what was turned, and shows it'
"$dpsbench" sim set dev-01 connack=5 fault_times=2
"$dpsbench" sim set DEV-01 close_when='after the 2nd PUBLISH on $dps/#' asks=1 2>/dev/null && fail 'took an unknown knob'
"$dpsbench" sim set DEV-01 close_when='after the 2nd PUBLISH on $dps/#'
"$dpsbench" sim set --lane main delay_ms=5 net_fault=cut net_at='at ServerHelloDone' asks_certificate=false
"$dpsbench" sim show >"$scratch/out"
for line in 'lane main (main' '  delay_ms=5' '  net_at=at ServerHelloDone' '  asks_certificate=false' 'device DEV-01' '  connack=5' '  fault_times=2'; do
    holds "$scratch/out" "$line"
done
is "$("$dpsbench" sim show --json | jq -c '.scenarios[0].knobs | keys')" '["close_when","connack","fault_times"]'

it 'prints events as they happen, for people and as JSON'
"$dpsbench" sim watch >"$scratch/watched" 2>"$scratch/watch.err" &
people=$!
"$dpsbench" sim watch --lane main --json >"$scratch/watched.json" 2>"$scratch/watch.err2" &
programs=$!
started+=("$people" "$programs")
for file in watch.err watch.err2; do
    until grep -q watching "$scratch/$file"; do read -rt 0.05 <> <(:) || true; done
done
address=$(ready sim dps)
openssl s_client -connect "$address" -tls1_2 </dev/null >/dev/null 2>&1 || true
timeout 30 grep -q -m 1 connection.closed < <(exec tail -n +1 -f "$scratch/watched.json") || fail 'no event came'
timeout 30 grep -q -m 1 connection.closed < <(exec tail -n +1 -f "$scratch/watched") || fail 'no line came'
grep -q ' scenario.fault .* knob=net_fault value=cut' "$scratch/watched" || fail "$(cat "$scratch/watched")"
is "$(jq -r 'select(.kind == "scenario.fault") | .data.knob' "$scratch/watched.json" | sort | tr '\n' ' ')" 'asks_certificate delay_ms net_fault '
stop_program "$people" INT || fail 'watch ended badly'
stop_program "$programs" TERM || fail 'watch ended badly'

it 'turns back what is named, or all, and says when there is nothing'
"$dpsbench" sim clear dev-01 close_when
is "$("$dpsbench" sim show --json | jq -c '.scenarios[0].knobs')" '{"fault_times":2,"connack":5}'
refuses "knob 'close_when' is not turned" clear dev-01 close_when
"$dpsbench" sim clear dev-01
"$dpsbench" sim clear --lane main net_at
"$dpsbench" sim set --lane main net_at='after the 2nd PUBLISH on $dps/#'
is "$("$dpsbench" sim show --json | jq -r '.lanes[0].knobs.net_at')" 'after the 2nd PUBLISH on $dps/#'
"$dpsbench" sim clear --lane main
is "$("$dpsbench" sim show --json | jq -c '[.lanes[0].knobs, .scenarios]')" '[{},[]]'
refuses "no scenario is set for registration id 'dev-01'" clear dev-01

it 'refuses unknown knobs, values, lanes and events with the nearest'
refuses "did you mean 'delay_ms'" set --lane main delay_m=4
refuses "did you mean 'half-close'" set --lane main net_fault=half-closed
refuses "did you mean 'ServerHelloDone'" set --lane main net_at='at ServerHelloDne'
refuses 'there are: main' set --lane mian delay_ms=4
refuses 'takes an integer' set dev-01 connack=five
refuses 'it is set on a lane' set dev-01 delay_ms=4
refuses 'is no KNOB=VALUE' set dev-01 connack
