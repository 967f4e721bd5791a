#!/bin/bash
# A device that the harness takes for a board: a port, hooks for reset and chip erase, a simulator that runs already, the exclusive lane, real time.
# Behind the port is a virtual DK that was started by hand; nothing in the rig file says so.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

await_ready() {
    local deadline=$((SECONDS + 60))
    until [[ -e $1/ready.json ]]; do
        ((SECONDS < deadline)) || fail "$1 is not ready: $(cat "$1.log")"
        read -rt 0.05 <> <(:) || true
    done
}

id=nrf-352656100000003 scope=0ne000CCCC3
mkdir "$scratch/sim"
"$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/sim" --listen 127.0.0.1:0 --id-scope "$scope" >/dev/null 2>"$scratch/sim.log" &
started+=($!)
await_ready "$scratch/sim"
"$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --dps-host global.azure-devices-provisioning.net --connect "$(jq -r .dps "$scratch/sim/ready.json")" \
    --id-scope "$scope" --registration-id "$id" --sec-tag 16842753 >/dev/null 2>"$scratch/dk.log" &
started+=($!)
dk_pid=$!
await_ready "$scratch/dk"
ln -s "$(jq -r .pty "$scratch/dk/ready.json")" "$scratch/port"

cat >"$scratch/board.yaml" <<RIG
format: 1
devices:
  - id: '000960012345'
    platform: nrf9160dk/nrf9160/ns
    serial: $scratch/port
    registration_id: $id
    id_scope: $scope
    sec_tag: 16842753
    hooks:
      reset: [kill, -HUP, '$dk_pid']
      chip_erase: [kill, -USR1, '$dk_pid']
simulator: {ready: $scratch/sim}
health: none
RIG

it 'runs on a port with hooks, in real time, on the exclusive lane'
unset DPSBENCH_TIME_SCALE
run_cases --rig "$scratch/board.yaml" server/host-name-mismatch refused/cn-mismatch:connack
exits 0
is "$(last_line)" '2 passed, 0 failed, 0 skipped'
is "$(report .time_scale)" 1
is "$(report .rig.simulator.is_ours)" false
is "$(report .rig.devices[0].is_virtual)" false
jq -r 'select(.kind == "lane.leased") | .data.lane_kind' "$out/timeline.jsonl" | grep -qx exclusive || fail 'the lane is not exclusive'

it 'counts what was written into the modem'
"$dpsbench" credentials wear --json >"$scratch/wear.json"
is "$(jq -r '[.[].device] | unique | join(" ")' "$scratch/wear.json")" "imei:$(jq -r 'first(.. | .imei? // empty)' "$results")"
is "$(jq -r '.[] | select(.type == 0).writes' "$scratch/wear.json")" "$(jq -r 'select(.kind == "at.command") | .data.command | select(startswith("AT%CMNG=0,16842753,0,"))' "$out/timeline.jsonl" | grep -c 'AT%CMNG')"

it 'gives everything back: the simulator is as it was'
is "$("$dpsbench" certificate list --state "$scratch/sim" | jq ".value | length")" 0
tail -n 20 "$scratch/sim/events.jsonl" | jq -r 'select(.kind == "lane.released") | .data.reason' | grep -qx released || fail 'the lane was not released'

it 'refuses a time scale for a board'
run_cases --rig "$scratch/board.yaml" --time-scale 20
exits 2
holds "$scratch/stderr" 'a real device lives in real time'

it 'says so when the rig and the simulator have different id scopes'
sed "s/id_scope: $scope/id_scope: 0ne000OTHER/" "$scratch/board.yaml" >"$scratch/other.yaml"
run_cases --rig "$scratch/other.yaml" server/host-name-mismatch
exits 3
holds "$scratch/stdout" "has id scope '$scope'"

it 'calls a hook that fails the rigs trouble'
sed "s/chip_erase: .*/chip_erase: ['false']/" "$scratch/board.yaml" >"$scratch/hook.yaml"
run_cases --rig "$scratch/hook.yaml" server/host-name-mismatch
exits 3
holds "$scratch/stdout" "hook chip_erase ('false'): exit status 1; its output is in '$out/000960012345/hooks.log'"

# The tool itself is not there: a program of its name, first in PATH, writes down what it was called with.
mkdir "$scratch/tools"
cat >"$scratch/tools/nrfjprog" <<TOOL
#!/bin/sh
echo "\$0 \$*; \$DPSBENCH_HOOK \$DPSBENCH_DEVICE \$DPSBENCH_CASE \$DPSBENCH_PORT \$DPSBENCH_RUN_DIR \$DPSBENCH_VERDICT" >>'$scratch/called'
[ "\$DPSBENCH_HOOK" != chip_erase ] || kill -USR1 $dk_pid
TOOL
chmod +x "$scratch/tools/nrfjprog"
sed "s/reset: .*/reset: {preset: nrfjprog}/; s/chip_erase: .*/chip_erase: {preset: nrfjprog, file: app.hex}\n      flash: {preset: nrfjprog, file: app.hex}/
     s/^simulator/      before_run: [nrfjprog]\n      before_case: [nrfjprog]\n      after_case: [nrfjprog]\n      after_run: [nrfjprog, last]\n&/" \
    "$scratch/board.yaml" >"$scratch/preset.yaml"

it 'runs presets and the hooks around runs and rows, in order, with their environment'
PATH=$scratch/tools:$PATH run_cases --rig "$scratch/preset.yaml" --flash server/root-missing
exits 0
sed "s|$scratch/tools/||; s|$scratch/port|PORT|; s|$out|OUT|; s/ *$//" "$scratch/called" >"$scratch/called.short"
row=server/root-missing
diff "$scratch/called.short" - <<CALLED || fail 'the hooks are not as they should be'
nrfjprog ; before_run 000960012345  PORT OUT
nrfjprog -f NRF91 --snr 960012345 --program app.hex --sectorerase --verify --reset; flash 000960012345  PORT OUT
nrfjprog ; before_case 000960012345 $row PORT OUT
nrfjprog -f NRF91 --snr 960012345 --program app.hex --chiperase --verify --reset; chip_erase 000960012345 $row PORT OUT
nrfjprog ; after_case 000960012345 $row PORT OUT pass
nrfjprog last; after_run 000960012345  PORT OUT
CALLED

it 'makes a row inconclusive when the hook behind it fails, whatever the row was'
sed -i 's/after_case: .*/after_case: [sh, -c, "echo no light >\&2; exit 7"]/' "$scratch/preset.yaml"
PATH=$scratch/tools:$PATH run_cases --rig "$scratch/preset.yaml" server/root-missing
exits 3
is "$(report '.rows[0].reason.text')" "hook after_case ('sh'): exit status 7: no light; its output is in '$out/000960012345/hooks.log'"

it 'tells of a last hook that fails, which is no row any more'
sed -i 's/after_case: .*/after_case: ["true"]/; s/after_run: .*/after_run: [sh, -c, "exit 9"]/' "$scratch/preset.yaml"
PATH=$scratch/tools:$PATH run_cases --rig "$scratch/preset.yaml" server/root-missing
exits 0
holds "$scratch/stderr" "hook after_run ('sh'): exit status 9"
is "$(jq -r 'select(.kind == "hook.failed") | .data.hook' "$out/timeline.jsonl")" after_run

it 'refuses to flash without the hook, before anything runs'
run_cases --rig "$scratch/board.yaml" --flash server/root-missing
exits 2
holds "$scratch/stderr" "board.yaml:3:5: device '000960012345' has no hook \`flash\`"

it 'calls silence on first contact inconclusive'
kill -STOP "$dk_pid"
run_cases --rig "$scratch/board.yaml" server/host-name-mismatch
kill -CONT "$dk_pid"
exits 3
is "$(report .rows[0].verdict)" inconclusive
