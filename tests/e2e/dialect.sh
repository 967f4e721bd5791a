#!/bin/bash
# What `dpsbench dialect` says of captures.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

consoles=$DPSBENCH_SOURCE/fixtures/consoles

# check ARGUMENT...: `dpsbench dialect check`; output in $scratch/stdout, exit code in $code.
check() {
    code=0
    "$dpsbench" dialect check "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

it 'lists the dialects'
"$dpsbench" dialect list >"$scratch/stdout"
holds "$scratch/stdout" 'nordic  '
holds "$scratch/stdout" 'field-sensor  '
is "$("$dpsbench" dialect list --json | jq -r '.dialects[] | select(.name == "nordic") | .entries > 20')" true

it 'shows each line with its event or its form'
check "$consoles/ages/ncs-1.9-connack-5.txt"
is "$code" 0
grep -qE '^ +8  console\.connection-rejected +\[' "$scratch/stdout" || fail "$(cat "$scratch/stdout")"
grep -qE '^ +1  \(boot\) +\*\*\* Booting' "$scratch/stdout" || fail "$(cat "$scratch/stdout")"
grep -qE '^ +4  - +Connecting' "$scratch/stdout" || fail "$(cat "$scratch/stdout")"
holds "$scratch/stdout" '11 lines: 6 recognised, 1 typed, 0 at, 4 missed, 0 unreadable, 0 empty'

it 'names what was missed, the most frequent first, and entries that never matched'
{
    cat "$consoles/success.txt"
    for n in 1 22 333; do printf '[00:00:0%.1s.000,000] <inf> battery: %s mV\n' "$n" "$n"; done
    printf 'noise \xfe\xff\n\n'
} >"$scratch/more.log"
check "$scratch/more.log" --json
is "$(jq -r '.summary.missed_lines[0] | "\(.count) \(.module) \(.message) \(.first_line)"' "$scratch/stdout")" '3 battery 1 mV 23'
is "$(jq -r '.summary | "\(.unreadable) \(.empty)"' "$scratch/stdout")" '1 1'
is "$(jq -r '.lines | length' "$scratch/stdout")" 27
is "$(jq -r '.lines[] | select(.event == "console.assigned") | .fields.hub' "$scratch/stdout")" sim-hub.azure-devices.net
is "$(jq -r '[.summary.entries[] | select(.count == 0) | .event] | index("console.timeout") != null' "$scratch/stdout")" true

it 'takes standard input, colours, line ends and the time stamps of console.log alike'
check "$consoles/success.txt" --json
jq -c '[.lines[] | .event // .finding]' "$scratch/stdout" >"$scratch/plain"
# shellcheck disable=SC2016
sed -E 's/^(\[[^]]*\] )(<err>|<wrn>)(.*)$/\1\x1b[1;31m\2\3\x1b[0m/; s/$/\r/' "$consoles/success.txt" >"$scratch/colours"
sed 's/^/2026-11-21T20:52:41.123456Z /' "$consoles/success.txt" >"$scratch/stamped"
for capture in colours stamped; do
    code=0
    "$dpsbench" dialect check - --json <"$scratch/$capture" >"$scratch/stdout" || code=$?
    is "$code" 0
    is "$(jq -c '[.lines[] | .event // .finding]' "$scratch/stdout")" "$(cat "$scratch/plain")"
done

it 'says so when the dialect is of another firmware, and when there is none such'
check "$consoles/success.txt" --dialect field-sensor --summary
is "$code" 5
holds "$scratch/stderr" "the dialect 'field-sensor' recognises no line"
check "$consoles/success.txt" --dialect nordik
is "$code" 2
holds "$scratch/stderr" "did you mean 'nordic'?"
check "$consoles/success.txt" --dialect "$scratch/none.yaml"
is "$code" 2
holds "$scratch/stderr" "$scratch/none.yaml"
