#!/bin/bash
# Every command of docs/by-hand.md, as it stands there, in its order, with a device that registers in between.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

PATH=$DPSBENCH_BIN:$PATH
cd "$scratch"
state=$scratch/sim id_scope=0ne00000001
make_self_signed alone dev-01

# The ```sh blocks of the page, as block.1, block.2, ...
awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > ("block." n) }' "$DPSBENCH_SOURCE/docs/by-hand.md"
blocks=(block.*)
is "${#blocks[@]}" 10

# run_block N: in this shell, so that what it defines stays; what it starts is ended at the end
run_block() {
    # shellcheck disable=SC1090
    . "./block.$1"
    mapfile -t -O "${#started[@]}" started < <(jobs -p)
}

it 'starts'
run_block 1
until_line "$state/events.jsonl" '*simulator.ready*'
run_block 2
run_block 3 >list.txt
is "$(cat list.txt)" ''

it 'watches'
run_block 4
[[ $(run_block 5) == *simulator.ready* ]] || fail 'block 5 shows no event'

# The watcher runs in the background: it is there when it sees what we publish ourselves.
until grep -qs marker wire.txt; do
    mosquitto_pub --unix "$(ready hand)" -q 1 -t s/0/marker -n
done

it 'keeps the service quiet'
run_block 6
until_event scenario.set '"is_silent":true'
mkfifo pipe
device dev-01 alone "${subscribe[@]}" pub "$put" '' 1 recv pub "${get/'$rid=2'/'$rid=1'}" '' 1 recv disconnect >pipe &
device_pid=$!
exec {device_fd}<pipe
# What the device says, line by line; mosquitto_sub may not be subscribed yet when the device comes, so wait for the request in its output.
until_line wire.txt '*iotdps-register*'

it 'answers by hand'
run_block 7
run_block 8
until read -r -t 30 line <&"$device_fd" && [[ $line == MESSAGE* ]]; do :; done
is "$line" 'MESSAGE $dps/registrations/res/202/?$rid=1&retry-after=3 {"operationId":"5.0000000000000000.by-hand","status":"assigning"}'
until_line wire.txt '*operationId=5.0000000000000000.by-hand*'
run_block 9
until read -r -t 30 line <&"$device_fd" && [[ $line == MESSAGE* ]]; do :; done
[[ $line == *'res/429/?$rid=1&retry-after=30 '*429001* ]] || fail "$line"
wait "$device_pid"

it 'gives the device back to the service'
run_block 10
result sync >/dev/null
[[ $(register dev-01 alone) == *'/res/401/'* ]] || fail 'the service is still quiet'
holds verdicts.txt '"verdict":"refused"'
