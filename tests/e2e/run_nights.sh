#!/bin/bash
# What run_night.sh and run_many.sh begin, to the end: kills at many moments, workers and simulators that die, rows that are unstable, shards.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# Three devices; dk-3 fails the host's name. HOOKS: more keys of each device.
many=$scratch/many.yaml
write_many() {
    local number weakness
    printf 'format: 1\ndevices:\n' >"$many"
    for number in 1 2 3; do
        weakness=''
        [[ $number != 3 ]] || weakness=skips-host-name-check
        printf '  - {id: dk-%d, registration_id: nrf-%d, id_scope: 0ne000BBBB2, sec_tag: 57, virtual: {personality: reference, weaknesses: [%s]}%s}\n' \
            "$number" "$number" "$weakness" "$1" >>"$many"
    done
}
write_many ''

# Of the run in $out, to its end.
resume() {
    code=0
    "$dpsbench" run --resume "$out" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

start_resume() {
    rm -f "$scratch/stderr"
    "$dpsbench" run --resume "$out" >"$scratch/stdout" 2>"$scratch/stderr" &
    run_pid=$!
    started+=("$run_pid")
}

# Rows and verdicts of the last run, sorted.
outcome() {
    report '.rows[] | [.device, .id, (.repetition // 1), .verdict] | join(" ")' | sort
}

journalled() {
    grep -c '^{"row"' "$out/journal.jsonl" || true
}

rows=(provisioning/guide provisioning/thread server/host-name-mismatch server/root-missing)

it 'runs three devices to the end, for comparison'
run_cases --rig "$many" --jobs 3 "${rows[@]}"
exits 1
outcome >"$scratch/wanted"
is "$(wc -l <"$scratch/wanted")" 12

it 'loses nothing and runs nothing twice, whenever it is killed'
start_run --rig "$many" --jobs 3 "${rows[@]}"
for moment in 0 1 4 5 9; do
    # At once, or as soon as so many rows have ended: in the middle of whatever it is doing then.
    deadline=$((SECONDS + 60))
    until [[ -e $out/journal.jsonl && $(journalled) -ge $moment ]]; do
        ((SECONDS < deadline)) || fail "row $moment did not end in time: $(cat "$scratch/stderr")"
        read -rt 0.02 <> <(:) || true
    done
    kill -KILL "$run_pid"
    { end_run; } 2>/dev/null
    # Whatever the journal says has ended is what comes back.
    journalled >"$scratch/ended"
    start_resume
    deadline=$((SECONDS + 60))
    until grep -qs '^resumed: ' "$scratch/stderr"; do
        ((SECONDS < deadline)) || fail "it does not go on: $(cat "$scratch/stderr")"
        read -rt 0.02 <> <(:) || true
    done
    holds "$scratch/stderr" "resumed: $(cat "$scratch/ended") of 12 rows had ended"
done
end_run
exits 1
outcome | cmp - "$scratch/wanted" || fail "$(outcome | diff - "$scratch/wanted")"
is "$(journalled)" 12
is "$(report .resumptions)" 5
[[ $(report '[.rows[].interruptions // 0] | add') -ge 1 ]] || fail 'nobody was interrupted'
nobody_left "$out"
is "$(find "$out" -name '.private*' | wc -l)" 0
# The lines of the timelines are whole, and each row has its own.
for device in dk-1 dk-2 dk-3; do
    jq -es . "$out/$device/timeline.jsonl" >/dev/null || fail "$device: a line is torn"
    is "$(report "[.rows[] | select(.device == \"$device\") | .timeline.first] | . == sort and (unique | length) == 4")" true
done

it 'takes the power cut that tears the last line for a row that never ended'
cp -r "$out" "$scratch/torn"
out=$scratch/torn results=$scratch/torn/results.json
sed -i '$ s/.\{40\}$//' "$out/journal.jsonl"
truncate -s -1 "$out/journal.jsonl"
resume
exits 1
outcome | cmp - "$scratch/wanted" || fail "$(outcome | diff - "$scratch/wanted")"

it 'goes on after Ctrl-C, and the row that was interrupted runs again'
start_run --rig "$many" --jobs 3 "${rows[@]}"
await_row 1
kill -INT "$run_pid"
end_run
exits 130
nobody_left "$out"
resume
exits 1
outcome | cmp - "$scratch/wanted" || fail "$(outcome | diff - "$scratch/wanted")"

it 'blames nobody for a worker that dies: its row is an error of ours, the others go on'
start_run --rig "$many" --jobs 3 "${rows[@]}"
await_row 2
worker=$(grep -lz -- --worker /proc/[0-9]*/cmdline 2>/dev/null | while read -r file; do
    tr '\0' ' ' <"$file" | grep -qF -e "--device dk-2 --out $out" && basename "$(dirname "$file")" && break
done) || true
[[ $worker ]] || fail 'dk-2 has no worker'
kill -KILL "$worker"
end_run
is "$(report '[.rows[] | select(.device == "dk-2" and .verdict != "pass" and .verdict != "error")] | length')" 0
[[ $(report '[.rows[] | select(.verdict == "error")] | length') -le 1 ]] || fail "more than one row was lost: $(outcome)"
is "$(report '.rows | length')" 12
is "$(report '[.rows[] | select(.device == "dk-1") | .verdict] | unique | join(" ")')" pass

it 'is inconclusive, and soon over, when the simulator dies under several devices'
start_run --rig "$many" --jobs 3 "${rows[@]}"
await_row 2
kill -KILL "$(pgrep -P "$run_pid" -x dpsbench-sim)"
end_run
is "$(report '.rows | length')" 12
is "$(report '[.rows[] | select(.device != "dk-3") | .verdict] | unique | map(select(. != "pass" and . != "inconclusive")) | length')" 0
nobody_left "$out"

# Succeeds unless its count, kept in a file for each row, is the wanted one.
cat >"$scratch/hook" <<'HOOK'
#!/bin/bash
file=$1/$DPSBENCH_DEVICE.${DPSBENCH_CASE//\//-}
echo x >>"$file"
[[ $(wc -l <"$file") != "$2" ]]
HOOK
chmod +x "$scratch/hook"

# hooked DIR N: the hook of each row fails the N-th time.
hooked() {
    mkdir "$scratch/$1"
    write_many ", hooks: {before_case: ['$scratch/hook', '$scratch/$1', '$2']}"
}

it 'marks a row unstable that goes well only when it is run again, and keeps both'
hooked flaky 1
run_cases --rig "$many" --retries 2 --device dk-1 server/root-missing server/host-name-mismatch
exits 3
is "$(report '[.rows[] | .verdict + " " + (.is_unstable | tostring) + " " + ([.attempts[].verdict] | join("/"))] | unique | join(",")')" \
    'inconclusive true inconclusive/pass'
holds "$scratch/stdout" '2 rows unstable'
holds "$scratch/stderr" 'server/root-missing is unstable: attempt 2 went well; the verdict stays inconclusive'
is "$(xmllint --nonet --xpath 'count(//testcase/error[starts-with(@message, "unstable, passed when it was run again")])' "$out/junit.xml")" 2
xmllint --nonet --noout --schema "$DPSBENCH_SOURCE/tests/junit/subset.xsd" "$out/junit.xml" 2>"$scratch/text" || fail "$(cat "$scratch/text")"

it 'forgets no first attempt when the retry is killed'
hooked flaky-killed 1
start_run --rig "$many" --retries 1 --device dk-1 provisioning/guide
deadline=$((SECONDS + 60))
until [[ -e $out/journal.jsonl && $(grep -c '^{"begin"' "$out/journal.jsonl") -ge 2 ]]; do
    ((SECONDS < deadline)) || fail 'no retry came'
    read -rt 0.02 <> <(:) || true
done
kill -KILL "$run_pid"
{ end_run; } 2>/dev/null
resume
exits 3
is "$(report '.rows[0] | .verdict + " " + (.is_unstable | tostring) + " " + ([.attempts[].verdict] | join("/"))')" 'inconclusive true inconclusive/pass'

it 'leaves out on each device what it has no time for'
write_many ''
run_cases --rig "$many" --time-budget 1s server/root-missing
exits 6
is "$(report '.summary.not_run')" 3
is "$(report '.rows | length')" 0
# Each worker was told once that nothing is left for it.
is "$(report '[.rig.devices[].lane] | sort | join(" ")')" 'lane-1 lane-2 lane-3'

it 'runs until a row does not go well'
hooked until 3
run_cases --rig "$many" --until-fail --device dk-2 server/root-missing
exits 3
is "$(outcome | cut -d ' ' -f 3,4 | tr '\n' ',')" '1 pass,2 pass,3 inconclusive,'
is "$(xmllint --nonet --xpath 'count(//testcase)' "$out/junit.xml")" 3

it 'deals the rows out to shards: disjoint, together the whole'
write_many ''
parts=()
for shard in 1 2 3; do
    run_cases --device dk-1 --rig "$many" --shard "$shard/3" server
    exits 0
    is "$(report .shard)" "$shard/3"
    report '.rows[].id' >>"$scratch/dealt"
    parts+=("$out")
done
sort -o "$scratch/dealt" "$scratch/dealt"
run_cases --device dk-1 --rig "$many" server
report '.rows[].id' | sort | cmp - "$scratch/dealt" || fail "$(report '.rows[].id' | sort | diff - "$scratch/dealt")"

it 'puts shards together again: the same rows, each with what was recorded of it'
merged=$scratch/merged
"$dpsbench" report merge "${parts[@]}" --out "$merged" >"$scratch/stdout" 2>"$scratch/stderr" || fail "$(cat "$scratch/stderr")"
is "$(last_line)" "$(wc -l <"$scratch/dealt") passed, 0 failed, 0 skipped"
jq -r '.rows[].id' "$merged/results.json" | sort | cmp - "$scratch/dealt"
is "$(jq -c '[.shards[].shard], .missing_shards, .is_complete' "$merged/results.json" | tr '\n' ' ')" '["1/3","2/3","3/3"] null true '
xmllint --nonet --noout --schema "$DPSBENCH_SOURCE/tests/junit/subset.xsd" "$merged/junit.xml" 2>"$scratch/text" || fail "$(cat "$scratch/text")"
is "$(xmllint --nonet --xpath 'count(//testcase)' "$merged/junit.xml")" "$(wc -l <"$scratch/dealt")"
while read -r row; do
    "$dpsbench" show "$merged" "$row" >"$scratch/text" || fail "$row cannot be shown"
    holds "$scratch/text" 'ClientHello'
    [[ -d $merged/$(jq -r --arg id "$row" '.rows[] | select(.id == $id) | .certificates' "$merged/results.json") ]] || fail "$row has no certificates"
done <"$scratch/dealt"

it 'puts together nothing that is not the whole, and says why'
code=0
"$dpsbench" report merge "${parts[0]}" "${parts[2]}" --out "$scratch/part" 2>"$scratch/stderr" || code=$?
exits 2
holds "$scratch/stderr" 'shard 2/3 is missing'
missing "$scratch/part"
"$dpsbench" report merge "${parts[0]}" "${parts[2]}" --out "$scratch/part" --allow-missing >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
exits 6
holds "$scratch/stdout" 'shard 2/3 is missing'
run_cases --device dk-1 --rig "$many" --shard 2/3 server/root-missing
code=0
"$dpsbench" report merge "${parts[0]}" "$out" "${parts[2]}" --out "$scratch/other" 2>"$scratch/stderr" || code=$?
exits 2
holds "$scratch/stderr" 'other rows were selected'

it 'takes shards without a row'
parts=()
for shard in 1 2 3; do
    run_cases --device dk-1 --rig "$many" --shard "$shard/3" server/root-missing
    exits 0
    [[ $(report '.rows | length') == 1 ]] || holds "$scratch/stderr" "shard $shard/3 holds none of the 1 selected row: nothing to run"
    parts+=("$out")
done
"$dpsbench" report merge "${parts[@]}" --out "$scratch/few" --json >"$scratch/stdout"
is "$(jq -c '.summary.pass, .summary.planned' "$scratch/stdout" | paste -sd' ')" '1 1'
