#!/bin/bash
# The judge is judged: runs that must end in each verdict and with each exit code, and what is left when a run is broken off.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# A copy of the cases in which one may be spoilt.
cases=$scratch/cases
mkdir -p "$cases/server"
cp "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" "$cases/server/"

it 'skips a row whose need is not met, names the need, and ends with 77 when all were skipped'
sed 's/^credentials:/needs: [antenna]\ncredentials:/' "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" >"$cases/server/root-missing.yaml"
run_cases --cases "$cases"
exits 77
is "$(last_line)" '0 passed, 0 failed, 1 skipped'
holds "$scratch/stdout" "does not offer 'antenna'"

it 'refuses a bad case before anything runs, with file, line and column'
sed 's/console.connect-failed/console.conect-failed/' "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" >"$cases/server/root-missing.yaml"
run_cases --cases "$cases"
exits 2
line=$(grep -n 'console.conect-failed' "$cases/server/root-missing.yaml" | cut -d: -f1)
holds "$scratch/stderr" "server/root-missing.yaml:$line:17: unknown event 'console.conect-failed'; did you mean 'console.connect-failed'?"
missing "$out"

it 'refuses a knob that the simulator does not have'
sed 's/^service:/service:\n  knobs: {retry_aftr_s: 3}/' "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" >"$cases/server/root-missing.yaml"
run_cases --cases "$cases"
exits 2
holds "$scratch/stderr" "no knob 'retry_aftr_s'"

it 'fails a device that does not do what is expected, with place, expected and got'
sed 's/event: console.failed/event: console.hub-ready/' "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" >"$cases/server/root-missing.yaml"
run_cases --cases "$cases"
exits 1
is "$(last_line)" '0 passed, 1 failed, 0 skipped'
is "$(report .rows[0].reason.expected)" console.hub-ready
report .rows[0].reason.place | grep -qE 'server/root-missing.yaml:[0-9]+:[0-9]+$' || fail 'no place'
holds "$scratch/stdout" '  expected  console.hub-ready ('
holds "$scratch/stdout" '  got       '
again=$(report .rows[0].account.again)
holds "$scratch/stdout" "  again     $again"

it 'names a command that runs just this row again, with the same outcome'
first=$(report '[.rows[0].id, .rows[0].verdict, .rows[0].reason.text] | join(" ")')
code=0
eval "$again --out $scratch/again" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
exits 1
results=$scratch/again/results.json
is "$(report '.rows | length')" 1
is "$(report '[.rows[0].id, .rows[0].verdict, .rows[0].reason.text] | join(" ")')" "$first"

it 'names the nearest when nothing is selected, and ends with 5'
run_cases refused/wrong-chian
exits 5
holds "$scratch/stderr" "did you mean 'refused/wrong-chain'?"

it 'refuses wrong usage with 2'
run_cases --rgi x
exits 2
holds "$scratch/stderr" "unknown option '--rgi'; did you mean '--rig'?"
run_cases --time-scale 0
exits 2
run_cases --rig "$scratch/none.yaml"
exits 2
mkdir "$scratch/full" && touch "$scratch/full/file"
code=0
"$dpsbench" run --out "$scratch/full" 2>"$scratch/stderr" || code=$?
is "$code" 2
holds "$scratch/stderr" 'is not empty'

it 'gives each of four runs that start together a folder of its own, and leaves none of a run that never began'
mkdir "$scratch/together"
pids=()
for ((i = 0; i < 4; i++)); do
    (cd "$scratch/together" && exec "$dpsbench" run server/root-missing) >"$scratch/together.$i" 2>&1 &
    pids+=($!)
done
for i in "${!pids[@]}"; do
    wait "${pids[i]}" || fail "run $i: $(cat "$scratch/together.$i")"
done
code=0
(cd "$scratch/together" && "$dpsbench" run no-such-row) 2>"$scratch/stderr" || code=$?
is "$code" 5
folders=("$scratch"/together/reports/out/*)
is "${#folders[@]}" 4
is "$(cat "$scratch"/together/reports/out/*/results.json | jq -s 'map(.exit_code) | add')" 0

it 'names the option for another folder where it cannot make one'
code=0
(cd /proc && "$dpsbench" run server/root-missing) 2>"$scratch/stderr" || code=$?
is "$code" 3
holds "$scratch/stderr" 'name another folder with --out DIR'

it 'runs on one device of the rig with --device, and names the nearest id'
cat >"$scratch/two.yaml" <<'RIG'
format: 1
devices:
  - {id: first, registration_id: nrf-1, id_scope: 0ne1, sec_tag: 1, virtual: {personality: reference}}
  - {id: second, registration_id: nrf-2, id_scope: 0ne1, sec_tag: 1, virtual: {personality: reference}}
RIG
run_cases --rig "$scratch/two.yaml" --device second server/root-missing
exits 0
is "$(report '.rows | map(.device) | join(",")')" second
run_cases --rig "$scratch/two.yaml" --device secund server/root-missing
exits 2
holds "$scratch/stderr" "no connected device 'secund'; did you mean 'second'?"

it 'is inconclusive when there is no simulator, and says where it looked'
path=$(rig no-simulator reference)
printf 'simulator: {ready: %s}\n' "$scratch/nowhere" >>"$path"
run_cases --rig "$path" server/root-missing
exits 3
is "$(report .rows[0].verdict)" inconclusive
holds "$scratch/stdout" "$scratch/nowhere"

it 'is inconclusive when the port is not there'
cat >"$scratch/no-port.yaml" <<RIG
format: 1
devices:
  - {id: board, serial: $scratch/ttyACM7, registration_id: r, id_scope: 0ne1, sec_tag: 1, hooks: {reset: ['true'], chip_erase: ['true']}}
RIG
run_cases --rig "$scratch/no-port.yaml" server/root-missing
exits 3
is "$(report .rows[0].verdict)" inconclusive
holds "$scratch/stdout" 'ttyACM7'
is "$(grep -c 'board: board:' "$scratch/stderr")" 0
is "$(grep -c 'ttyACM7' <(sed '1,/^$/d' "$scratch/stdout"))" 1

it 'does not let an unmet need hide a port that is not there'
sed 's/^credentials:/needs: [antenna]\ncredentials:/' "$DPSBENCH_SOURCE/cases/server/root-missing.yaml" >"$cases/server/root-missing.yaml"
run_cases --rig "$scratch/no-port.yaml" --cases "$cases"
exits 3
is "$(report .rows[0].verdict)" inconclusive

# pid_of STATE: the program of the run under way with that state folder.
pid_of() {
    jq .pid "$out/.private/$1/ready.json"
}

it 'writes the report of what ran on Ctrl-C, and ends with 130'
start_run '*'
await_row 2
kill -INT "$run_pid"
end_run
exits 130
is "$(report .is_interrupted)" true
is "$(report .is_complete)" true
[[ $(report '.rows | length') -ge 2 ]] || fail 'rows are missing'
holds "$scratch/stdout" 'Interrupted after'
last_line | grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || fail 'no closing line'
nobody_left "$out"

it 'is inconclusive, not failed, when the simulator dies under way'
start_run '*'
await_row 1
kill -KILL "$(pid_of simulator)"
end_run
exits 3
is "$(report .summary.fail)" 0
is "$(report .summary.error)" 0
[[ $(report .summary.inconclusive) -ge 1 ]] || fail 'no row is inconclusive'
report '[.rows[] | select(.verdict == "inconclusive")][0].reason.text' | grep -qE 'dpsbench-sim ended|control plane' || fail "$(report .rows)"
nobody_left "$out"

it 'is inconclusive when the virtual device dies under way'
start_run '*'
await_row 1
kill -KILL "$(pid_of virtual-dk)"
end_run
exits 3
is "$(report .summary.fail)" 0
nobody_left "$out"

it 'loses at most the row in flight to kill -9, and leaves no process and no private folder'
start_run '*'
await_row 2
kill -KILL "$run_pid"
end_run
is "$(report .is_complete)" false
[[ $(report '.rows | length') -ge 2 ]] || fail 'rows are missing'
deadline=$((SECONDS + 20))
while pgrep -f -- "$out/.private/" >/dev/null; do
    ((SECONDS < deadline)) || nobody_left "$out"
    read -rt 0.05 <> <(:) || true
done
until [[ ! -e $out/.private ]]; do
    ((SECONDS < deadline)) || fail "$(ls -la "$out/.private") stays"
    read -rt 0.05 <> <(:) || true
done
