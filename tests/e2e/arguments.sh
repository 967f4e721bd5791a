#!/bin/bash
# Wrong arguments everywhere: exit status 2, one line on stderr that names the word and the mend, nothing on stdout. What every command must refuse
# is made from its own --help, so that a new command or option is in the table by itself.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

cd "$scratch"
dpsbench=$DPSBENCH_BIN/dpsbench sim=$DPSBENCH_BIN/dpsbench-sim vdk=$DPSBENCH_BIN/dpsbench-vdk

# refuses WORD MEND COMMAND...: both stand in the line.
refuses() {
    local word=$1 mend=$2 code=0
    shift 2
    timeout 60 "$@" </dev/null >"$scratch/out" 2>"$scratch/err" || code=$?
    [[ $code == 2 ]] || fail "$*: exit status $code: $(head -n 5 "$scratch/err")"
    [[ ! -s $scratch/out ]] || fail "$*: says on stdout: $(head -n 1 "$scratch/out")"
    [[ $(wc -l <"$scratch/err") == 1 ]] || fail "$*: more than one line: $(cat "$scratch/err")"
    grep -qF -e "$word" "$scratch/err" || fail "$*: does not name '$word': $(cat "$scratch/err")"
    grep -qF -e "$mend" "$scratch/err" || fail "$*: does not say '$mend': $(cat "$scratch/err")"
    ! grep -qF -e "$DPSBENCH_BIN" "$scratch/err" || fail "$*: the path of the program is no help: $(cat "$scratch/err")"
}

# options WHICH COMMAND...: the long options in its --help, with a value (value) or without one (bare).
options() {
    local which=$1 pattern='[[:space:]]--[a-z-]+='
    shift
    [[ $which == value ]] || pattern='[[:space:]]--[a-z-]+([[:space:]]|$)'
    "$@" --help | sed '/^Examples:/,$d' | grep -E '^  (-., |    )--' | sed -E 's/([^ ])  +.*$/\1/' | { grep -oE -e "$pattern" || true; } | tr -d ' =' | sort -u | head -n "$options_max"
}

options_max=99

# any_command COMMAND...: what every command refuses, whatever it does.
any_command() {
    local option checked=0
    refuses "'--frobnicate'" '--help' "$@" --frobnicate
    refuses "'-X'" '--help' "$@" -X
    for option in $(options value "$@"); do
        refuses "'$option'" 'needs a value' "$@" "$option"
        refuses "'${option}x'" "did you mean '$option'?" "$@" "${option}x" y
        checked=$((checked + 1))
    done
    for option in $(options bare "$@"); do
        case $option in --help | --usage | --version) continue ;; esac
        refuses "'$option'" 'takes no value' "$@" "$option=1"
        checked=$((checked + 1))
    done
    [[ $checked -gt 0 ]] || fail "$*: no options in its help"
}

# commands COMMAND...: the names under "Commands:" in its help.
commands() {
    "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

# every_command COMMAND...: itself, or all that are under it. Adds to count.
every_command() {
    local child children
    children=$(commands "$@")
    if [[ -z $children ]]; then
        # The commands of az, and those of credentials, share one reader of options, and provision reads its own as they do: one of each is enough.
        [[ $2 != az && $2 != central && $2 != certificate && $2 != credentials && $2 != provision ]] || options_max=1
        any_command "$@"
        options_max=99 count=$((count + 1))
        return
    fi
    refuses "'frobnicate'" "--help\`" "$@" frobnicate
    for child in $children; do
        every_command "$@" "$child"
    done
}

it 'refuses options that do not exist, that lack a value, or have one too many, in every command of dpsbench'
count=0
every_command "$dpsbench"
[[ $count -ge 30 ]] || fail "only $count commands"

it 'does so in the simulator and in the virtual DK'
any_command "$sim"
any_command "$vdk"

it 'names the nearest command'
refuses "'rnu'" "did you mean 'run'?" "$dpsbench" rnu
refuses "'--frobnicate'" '--help' "$dpsbench" --frobnicate
refuses "'rnu'" "did you mean 'run'?" "$dpsbench" help rnu
refuses "'shw'" "did you mean 'show'?" "$dpsbench" certificate shw

it 'refuses values that are none'
: >"$scratch/empty.pem"
state=$scratch/state
mkdir "$state"
while IFS='|' read -r word mend arguments; do
    [[ -n $word ]] || continue
    eval "set -- $arguments"
    refuses "$word" "$mend" "$@"
done <<TABLE
abc|1 to 1000|"$dpsbench" run --time-scale abc
abc|1 to 1000|"$dpsbench" calibrate --out "$scratch/none" --time-scale abc
none.yaml|No such file|"$dpsbench" run --quarantine none.yaml
sideways|planned, listed|"$dpsbench" plan --order sideways
'0'|1 to 1000|"$dpsbench" run --time-scale 0
nan|1 to 1000|"$dpsbench" run --time-scale nan
none.yaml|No such file|"$dpsbench" run --rig "$scratch/none.yaml"
nowhere|not a folder of cases|"$dpsbench" run --cases "$scratch/nowhere"
nobody|device|"$dpsbench" run --device nobody
empty.pem|in the way|"$dpsbench" run --out "$scratch/empty.pem"
nowhere|not a folder of cases|"$dpsbench" list --cases "$scratch/nowhere"
argument --state|folder|"$dpsbench" certificate list --state ''
sim|DPSBENCH_STATE|"$dpsbench" certificate list
'extra'|too many|"$dpsbench" certificate list --state "$state" extra
--certificate-name/--name/-n|are required|"$dpsbench" certificate show --state "$state"
--path/-p|are required|"$dpsbench" certificate create -n a --state "$state"
--etag/-e|are required|"$dpsbench" certificate verify -n a --path "$scratch/empty.pem" --state "$state"
none.pem|No such file|"$dpsbench" certificate create -n a --state "$state" --path "$scratch/none.pem"
empty.pem|PEM|"$dpsbench" certificate create -n a --state "$state" --path "$scratch/empty.pem"
'maybe'|true nor false|"$dpsbench" certificate create -n a --state "$state" --path "$scratch/empty.pem" --verified maybe
'nobody'|does not exist|"$dpsbench" certificate delete -n nobody --etag '*' --state "$state"
nowhere|No such file|"$dpsbench" certificate list --state "$scratch/nowhere"
--query|jq|"$dpsbench" certificate list --state "$state" --query '[0]'
'xml'|json|"$dpsbench" certificate list --state "$state" --output xml
--attestation-type/--at|are required|"$dpsbench" az iot dps enrollment create --eid a --state "$state"
'x59'|did you mean 'x509'?|"$dpsbench" az iot dps enrollment create --eid a --at x59 --state "$state"
'b'|too many|"$dpsbench" az iot dps enrollment show --eid a b --state "$state"
400004|letters, digits|"$dpsbench" az iot dps enrollment create --eid 'a b' --at x509 --cp x --state "$state"
'g_'|letters, digits|"$dpsbench" az iot dps enrollment-group create --eid g_ --state "$state"
certificate path|--cp FILE|"$dpsbench" az iot dps enrollment create --eid a --at x509 --state "$state"
Endorsement key|required|"$dpsbench" az iot dps enrollment create --eid a --at tpm --state "$state"
--certificate-path|--ca-name|"$dpsbench" az iot dps enrollment-group create --eid a --cp x --ca-name y --state "$state"
allocation policy|several|"$dpsbench" az iot dps enrollment-group create --eid a --ih h1 h2 --state "$state"
assigned with device|--iot-hubs HOST|"$dpsbench" az iot dps enrollment-group create --eid a --ap static --state "$state"
Only one hub|2|"$dpsbench" az iot dps enrollment-group create --eid a --ap static --ih h1 h2 --state "$state"
webhook|version|"$dpsbench" az iot dps enrollment-group create --eid a --ap custom --ih h1 --state "$state"
--initial-twin-tags|JSON|"$dpsbench" az iot dps enrollment-group create --eid a --tags none --state "$state"
'none'|-1 for all|"$dpsbench" az iot dps enrollment list --top none --state "$state"
'nobody'|does not exist|"$dpsbench" az iot dps enrollment-group update --eid nobody --state "$state"
no simulator runs|dpsbench-sim|"$dpsbench" az iot dps enrollment registration show --eid a --state "$state"
RECIPE|certs list|"$dpsbench" certs make --out "$scratch/pki"
--out DIR|--help|"$dpsbench" certs make device/sub-ca
'b'|too many|"$dpsbench" certs make device/sub-ca b --out "$scratch/pki"
'device/sub-cb'|did you mean 'device/sub-ca'?|"$dpsbench" certs make device/sub-cb --out "$scratch/pki"
--registration-id ID|--help|"$dpsbench" certs make device/sub-ca --out "$scratch/pki"
'extra'|too many|"$dpsbench" certs list extra
--state DIR|name a folder|"$sim"
''|name a folder|"$sim" --state ''
'0'|1 to 1000|"$sim" --state "$state" --time-scale 0
'localhost:1'|numeric address|"$sim" --state "$state" --listen localhost:1
'127.0.0.1:99999'|numeric address|"$sim" --state "$state" --listen 127.0.0.1:99999
'azur'|'azure'|"$sim" --state "$state" --profile azur
'1.1'|1.2 or 1.3|"$sim" --state "$state" --tls-max 1.1
'dsa'|rsa-2048 or p-256|"$sim" --state "$state" --server-key dsa
'a/b'|without a port|"$sim" --state "$state" --host a/b
'x/y'|1 to 64 characters|"$sim" --state "$state" --id-scope x/y
'extra'|--state DIR|"$sim" --state "$state" extra
--state DIR|--help|"$vdk"
--connect ADDR:PORT|--help|"$vdk" --state "$state"
--sec-tag N|--help|"$vdk" --state "$state" --connect 127.0.0.1:1 --id-scope s --registration-id r
'abc'|0 to 2147483647|"$vdk" --sec-tag abc
'4294967296'|0 to 2147483647|"$vdk" --sec-tag 4294967296
'localhost:1'|127.0.0.1:8883|"$vdk" --connect localhost:1
'accepts-any-servr'|did you mean 'accepts-any-server'|"$vdk" --weakness accepts-any-servr
'uart-shel'|did you mean 'uart-shell'|"$vdk" --misbehaviour uart-shel
'nrf916'|did you mean 'nrf9160'|"$vdk" --hardware-profile nrf916
'nordc'|nordic-sample, reference|"$vdk" --personality nordc
'5000'|1 to 1000|"$vdk" --time-scale 5000
'extra'|option|"$vdk" --state "$state" --connect 127.0.0.1:1 --id-scope s --registration-id r --sec-tag 1 extra
'35265'|15 digits|"$vdk" --state "$state" --connect 127.0.0.1:1 --id-scope s --registration-id r --sec-tag 1 --imei 35265
'mfw_1'|mfw_nrf9160|"$vdk" --state "$state" --connect 127.0.0.1:1 --id-scope s --registration-id r --sec-tag 1 --mfw mfw_1
TABLE

it 'shows the commands when none is given'
for command in '' certificate certs az 'az iot' 'az iot dps enrollment'; do
    code=0
    # shellcheck disable=SC2086 # no word is wanted for ''
    "$dpsbench" $command >"$scratch/out" 2>"$scratch/err" || code=$?
    is "$code" 2
    is "$(cat "$scratch/out")" ''
    holds "$scratch/err" 'Commands:'
done

it 'refuses wrong arguments of the bench script before it does anything'
export DPSBENCH_NO_SETUP=1
bench=$DPSBENCH_SOURCE/bench
refuses "'rnu'" 'run' "$bench" rnu
refuses "'--lnog'" '--long' "$bench" test --lnog
refuses "'frmat'" 'format' "$bench" check frmat
for verb in setup build clean help; do
    refuses "'extra'" "$verb" "$bench" "$verb" extra
done
[[ -d $DPSBENCH_BIN ]] || fail 'build/ is gone'

it 'says when standard output cannot be written: a full disk is no success'
cd "$DPSBENCH_SOURCE"
for command in --version 'certs list' list 'dialect list' plan 'plan --json' 'doctor --json'; do
    code=0
    # shellcheck disable=SC2086 # words of a command line
    timeout 60 "$dpsbench" $command </dev/null >/dev/full 2>"$scratch/err" || code=$?
    is "$command $code" "$command 3"
    holds "$scratch/err" 'write to standard output failed'
done
