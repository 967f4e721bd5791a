#!/bin/bash
# A run whose folder cannot be written: read-only from the start, too small, or full in the middle. Needs to mount; so it runs as root, in a mount
# namespace of its own: nothing stays behind however it ends.
set -euo pipefail

if [[ -z ${DPSBENCH_OWN_MOUNTS:-} ]]; then
    unshare --mount --propagation private true 2>/dev/null || {
        printf 'skipped: this user may not mount (it needs root)\n'
        exit 77
    }
    DPSBENCH_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0"
fi

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# The folders are busy as long as they are mounted.
trap 'umount "$scratch"/disk-* 2>/dev/null || true; clean_up' EXIT

# disk NAME SIZE: a file system of its own at $disk.
disk() {
    disk=$scratch/disk-$1
    mkdir "$disk"
    mount -t tmpfs -o "size=$2" none "$disk"
}

# run_into FOLDER ARGUMENT...
run_into() {
    out=$1 results=$1/results.json code=0
    shift
    "$dpsbench" run --out "$out" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

# Rows of results.json and lines of all else are whole.
is_whole() {
    jq -e .v "$results" >"$scratch/jq" || fail 'results.json is broken'
    xmllint --noout --nonet --schema "$DPSBENCH_SOURCE/tests/junit/subset.xsd" "$out/junit.xml" 2>"$scratch/xmllint" || fail "$(cat "$scratch/xmllint")"
    is "$(jq -es 'length' "$out/timeline.jsonl")" "$(wc -l <"$out/timeline.jsonl")"
    is "$(tail -c 1 "$out/virtual-dk/console.log" | od -An -c | tr -d ' ')" '\n'
    missing "$out/.private"
}

it 'refuses a folder on a read-only file system before anything starts, with the mend'
mkdir -p "$scratch/read-only/empty"
mount --bind "$scratch/read-only" "$scratch/read-only"
mount -o remount,bind,ro "$scratch/read-only"
run_into "$scratch/read-only/new"
exits 3
holds "$scratch/stderr" "make folder '$scratch/read-only/new'"
holds "$scratch/stderr" 'Read-only file system; name another folder with --out DIR'
is "$(wc -l <"$scratch/stderr")" 1
is "$(cat "$scratch/stdout")" ''
run_into "$scratch/read-only/empty"
exits 3
holds "$scratch/stderr" 'read-only file system; name another folder with --out DIR'
is "$(wc -l <"$scratch/stderr")" 1
code=0
(cd "$scratch/read-only" && "$dpsbench" run) >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
exits 3
holds "$scratch/stderr" "make folder 'reports"
holds "$scratch/stderr" 'name another folder with --out DIR'
umount "$scratch/read-only"

it 'refuses a folder without room before anything starts'
disk small 512k
run_into "$disk/out"
exits 3
holds "$scratch/stderr" 'is nearly full: '
holds "$scratch/stderr" 'make room there, or name another folder with --out DIR'
is "$(wc -l <"$scratch/stderr")" 1

it 'ends between two rows when the disk fills up, with a whole report of what ran'
disk filling 3m
run_into "$disk/out" provisioning refused
exits 3
is_whole
report .broken_off | grep -q 'is nearly full: ' || fail "$(report .broken_off)"
rows=$(report '.rows | length')
[[ $rows -ge 1 && $rows -lt $(report .summary.planned) ]] || fail "$rows rows"
is "$(report '[.rows[] | select(.verdict != "pass")] | length')" 0
is "$(report .exit_code)" 3
is "$(report .is_complete)" true
holds "$scratch/stdout" "Broken off after $rows of "
holds "$scratch/stderr" "safe in '$out': results.json with $rows and junit.xml with $rows of the $rows rows that ran"
"$dpsbench" show "$out" >"$scratch/shown"
holds "$scratch/shown" "Broken off after $rows of "
nobody_left "$out"

it 'ends with the row in flight when the disk is full at once, names the file, and says what is safe'
disk full 12m
out=$disk/out results=$disk/out/results.json
"$dpsbench" run --out "$out" provisioning/guide provisioning/retry-after provisioning/thread refused >"$scratch/stdout" 2>"$scratch/stderr" &
run_pid=$!
started+=("$run_pid")
await_row 1
deadline=$((SECONDS + 60))
until grep -qsF '"retry_after_s":10' <(grep -F '"kind":"dps.reply"' "$out/timeline.jsonl" 2>/dev/null); do
    ((SECONDS < deadline)) || fail "no reply in time: $(cat "$scratch/stderr")"
    read -rt 0.02 <> <(:) || true
done
cat /dev/zero >"$disk/somebody-else" 2>/dev/null || true
end_run
exits 3
is_whole
is "$(report '.rows | map(.verdict) | join(",")')" pass,inconclusive
report .broken_off | grep -qE "^write '$out/.*': No space left on device$" || fail "$(report .broken_off)"
is "$(report .rows[1].reason.text)" "$(report .broken_off)"
holds "$scratch/stderr" "$(report .broken_off); the run ends here"
holds "$scratch/stderr" "safe in '$out': results.json with 2"
holds "$scratch/stdout" 'Broken off after 2 of '
"$dpsbench" show "$out" provisioning/retry-after >"$scratch/shown"
holds "$scratch/shown" 'provisioning/retry-after: inconclusive'
nobody_left "$out"

it 'keeps the report of the rows before when there is no room to the end'
disk stays-full 12m
out=$disk/out results=$disk/out/results.json
"$dpsbench" run --out "$out" provisioning/guide provisioning/retry-after provisioning/thread >"$scratch/stdout" 2>"$scratch/stderr" &
run_pid=$!
started+=("$run_pid")
await_row 1
while kill -0 "$run_pid" 2>/dev/null; do cat /dev/zero >>"$disk/somebody-else" 2>/dev/null || true; done
end_run
exits 3
is_whole
rows=$(report '.rows | length')
[[ $rows == 1 || $rows == 2 ]] || fail "$rows rows"
is "$(report .rows[0].verdict)" pass
holds "$scratch/stderr" 'No space left on device; the run ends here'
holds "$scratch/stderr" "results.json with $rows and"
last_line | grep -qE '^1 passed, [01] failed, 0 skipped$' || fail "$(last_line)"
