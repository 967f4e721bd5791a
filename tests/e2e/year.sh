#!/bin/bash
# year.sh [RUNS [SEED [FIRST]]] - a compressed year: short runs over four virtual DKs at once, a random fault in each, replayed exactly by the seed.
# After each run: it has ended, each row has one result and no other verdict than the fault allows, the report is whole, nobody and nothing is left.
# At the end: the simulator that served many of them has not grown.
set -euo pipefail

# A full disk needs a mount, in a mount namespace of our own: nothing stays behind however this ends.
if [[ -z ${DPSBENCH_OWN_MOUNTS:-} ]]; then
    if unshare --mount --propagation private true 2>/dev/null; then
        DPSBENCH_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"
    fi
    export DPSBENCH_OWN_MOUNTS=0
fi

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

runs=${1:-50} seed=${2:-1} first=${3:-1}
devices=4
scale=50
limit_s=120
id_scope=0ne000YEAR1
faketime=$(find /usr/lib -name libfaketime.so.1 -print -quit 2>/dev/null)
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"
trap 'umount "$scratch"/disk 2>/dev/null || true; clean_up' EXIT

plans=('provisioning/guide server/expired refused/no-enrollment:connack' 'provisioning/thread refused/wrong-chain:azure' 'server/host-name-mismatch provisioning/sub-ca'
    'provisioning/guide protocol/refused-status:404' 'server/self-signed provisioning/retry-after')
# Those that a good device lives with.
misbehaviours=(re-enumerates garbage-at-start slow-uart drops-log-lines boot-text-lost uart-shell second-vcom counts-resets)
steps_s=(-43200 -600 -1 1 600 43200 2592000)
# Faults that leave the service as it was are served by the one simulator that is watched for growth. More of what is likelier on a desk.
faults=(none unplug unplug misbehaviour misbehaviour flood device-killed disk run-killed worker-killed simulator-killed simulator-restarted broker-killed clock)

# ---- chance ---------------------------------------------------------------------------------------------------------------

# roll N: a number below N into $rolled. Our own: the same in every version of bash.
roll() {
    chance=$((chance * 6364136223846793005 + 1442695040888963407))
    rolled=$((((chance >> 33) & 0x3fffffff) % $1))
}

# The schedule of one run hangs on the seed and its number alone. Stirred first: neighbours would draw alike.
draw() {
    local i
    chance=$((seed * 7046029254386353131 + $1 * 2862933555777941757))
    for i in 1 2 3; do
        chance=$(((chance ^ (chance >> 29)) * 7664345821815920749))
    done
    roll ${#faults[@]} && fault=${faults[rolled]}
    roll ${#plans[@]} && read -ra rows <<<"${plans[rolled]}"
    roll "$devices" && victim=dk-$((rolled + 1))
    # Early, while most of them still work.
    roll $((devices * ${#rows[@]} / 2)) && after=$rolled
    roll 300 && delay_ms=$rolled
    roll ${#misbehaviours[@]} && misbehaviour=${misbehaviours[rolled]}
    roll ${#steps_s[@]} && step_s=${steps_s[rolled]}
    roll 6 && disk_kib=$((1200 + rolled * 200))
    case $fault in
    none | unplug | misbehaviour | flood | device-killed | disk) is_shared=1 ;;
    *) is_shared=0 ;;
    esac
    detail=
    case $fault in
    misbehaviour) detail=" $misbehaviour" ;;
    flood) misbehaviour=floods-console ;;
    clock) detail=" ${step_s} s" ;;
    disk) detail=" $disk_kib KiB" ;;
    esac
}

# ---- the rig --------------------------------------------------------------------------------------------------------------

# write_rig SIMULATOR: the folder of one that runs, or nothing.
write_rig() {
    local i more
    {
        printf 'format: 1\ndevices:\n'
        for ((i = 1; i <= devices; i++)); do
            more=
            [[ dk-$i != "$victim" || ! $fault =~ ^(misbehaviour|flood)$ ]] || more=", misbehaviours: [$misbehaviour]"
            printf '  - {id: dk-%d, registration_id: year-%d, id_scope: %s, sec_tag: 57, virtual: {personality: reference%s}}\n' "$i" "$i" "$id_scope" "$more"
        done
        [[ -z $1 ]] || printf 'simulator: {ready: %s, lane: listener}\n' "$1"
    } >"$scratch/year.yaml"
}

# serve NAME: a simulator that outlives the run, its folder $scratch/NAME.
serve() {
    TMPDIR=$scratch start_program "$1" "$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/$1" --id-scope "$id_scope" --time-scale "$scale"
}

sim_of() {
    jq .pid "$scratch/$1.ready"
}

# ---- the fault ------------------------------------------------------------------------------------------------------------

# A pipe that never says anything. One for the whole year: bash confuses the children of process substitutions with others once pids come again.
exec {never}<> <(:)

pause_ms() {
    local seconds
    printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
    [[ $1 == 0 ]] || read -rt "$seconds" -u "$never" || true
}

is_running() {
    kill -0 "$run_pid" 2>/dev/null
}

rows_done() {
    grep -c '^\[[0-9]*/' "$scratch/stderr" || true
}

await_moment() {
    local deadline=$((SECONDS + limit_s))
    while is_running && (($(rows_done) < after)); do
        ((SECONDS < deadline)) || return 0
        pause_ms 30
    done
    pause_ms "$delay_ms"
}

# pid_with PATTERN: of this run alone, by its own folder.
pid_with() {
    { pgrep -f -- "$1.*$out/[.]private" || true; } | head -n 1
}

# strike SIGNAL PID: whoever is gone already has escaped.
strike() {
    [[ -z $2 ]] || kill "-$1" "$2" 2>/dev/null || true
}

do_fault() {
    local pid
    await_moment
    case $fault in
    unplug) strike USR2 "$(pid_with "dpsbench-vdk.*/$victim")" ;;
    device-killed) strike KILL "$(pid_with "dpsbench-vdk.*/$victim")" ;;
    run-killed) strike KILL "$run_pid" ;;
    worker-killed) strike KILL "$({ pgrep -P "$run_pid" -f -- --worker || true; } | head -n 1)" ;;
    simulator-killed) strike KILL "$(pid_with dpsbench-sim)" ;;
    broker-killed)
        pid=$(pid_with dpsbench-sim)
        [[ -z $pid ]] || strike KILL "$({ pgrep -P "$pid" -x mosquitto || true; } | head -n 1)"
        ;;
    simulator-restarted)
        stop_program "$(sim_of passing)" TERM || true
        serve passing
        ;;
    clock) printf '%+d' "$step_s" >"$scratch/clock" ;;
    esac
}

# ---- one run --------------------------------------------------------------------------------------------------------------

# start NUMBER ARGUMENT...: `dpsbench run` in the background.
start() {
    local words=()
    if [[ $fault == clock ]]; then
        printf '+0' >"$scratch/clock"
        # The monotonic clock never steps. The sanitizer wants to be the first library, and works as the second.
        words=(env "LD_PRELOAD=$faketime" "FAKETIME_TIMESTAMP_FILE=$scratch/clock" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
            "ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}")
    fi
    "${words[@]}" "$dpsbench" run "$@" >"$scratch/stdout" 2>>"$scratch/stderr" &
    run_pid=$!
}

# end: the run has an end, whatever happened.
end() {
    local deadline=$((SECONDS + limit_s))
    while is_running; do
        if ((SECONDS >= deadline)); then
            kill -KILL "$run_pid"
            fail "it hangs: $(tail -n 5 "$scratch/stderr")"
        fi
        pause_ms 50
    done
    code=0
    wait "$run_pid" 2>/dev/null || code=$?
}

run_once() {
    : >"$scratch/stderr"
    out=$scratch/run
    case $fault in
    disk)
        mkdir "$scratch/disk"
        mount -t tmpfs -o "size=${disk_kib}k" none "$scratch/disk"
        out=$scratch/disk/run
        ;;
    simulator-restarted) serve passing ;;
    esac
    results=$out/results.json
    local simulator=
    [[ $is_shared == 0 ]] || simulator=$scratch/shared
    [[ $fault != simulator-restarted ]] || simulator=$scratch/passing
    write_rig "$simulator"
    start --rig "$scratch/year.yaml" --jobs "$devices" --time-scale "$scale" --out "$out" "${rows[@]}"
    do_fault
    end
}

# What was killed goes on where it was: nothing lost, nothing twice.
resume() {
    start --resume "$out"
    end
    [[ $code =~ ^(0|3)$ ]] || fail "killed and resumed, it ended with $code: $(tail -n 5 "$scratch/stderr")"
}

# ---- what must be so ------------------------------------------------------------------------------------------------------

# counted VERDICT
counted() {
    report "[.rows[] | select(.verdict == \"$1\")] | length"
}

check_code() {
    local allowed='^(0|3)$'
    case $fault in
    none) allowed='^0$' ;;
    run-killed) allowed='^(137|0|3)$' ;;
    worker-killed) allowed='^(0|3|4)$' ;;
    esac
    [[ $code =~ $allowed ]] || fail "exit code $code: $(tail -n 5 "$scratch/stderr")"
}

# Nothing lost, nothing twice, nobody blamed.
check_rows() {
    local planned=$((devices * ${#rows[@]})) got
    if [[ ! -e $results && ($fault == disk || $code == 137) ]]; then
        summary='no row yet'
        return
    fi
    got=$(report '.rows | length')
    is "$(report '[.rows[] | .id + " " + .device] | unique | length')" "$got"
    is "$(counted fail)" 0
    [[ $fault == worker-killed ]] || is "$(counted error)" 0
    # One that was killed before its first row is not started again (harness/run/crew.h).
    is "$(report '[.rows[] | select(.verdict == "error") | .device] | unique | length < 2')" true
    [[ $fault != none ]] || is "$(counted pass)" "$planned"
    if [[ $fault == disk && $(report '.broken_off // empty') ]]; then
        is "$code" 3
    else
        is "$got" "$planned"
    fi
    summary="$got rows, $(counted pass) pass, $(counted inconclusive) inconclusive"
}

# A process that outlives a killed run removes its folder; it may take a moment.
check_nothing_left() {
    local deadline=$((SECONDS + 20))
    while [[ -e $out/.private ]]; do
        ((SECONDS < deadline)) || fail "$out/.private is still there"
        pause_ms 50
    done
    is "$(pgrep -af -- "$out/[.]private" || true)" ''
    is "$(ls -A "$TMPDIR")" ''
    if [[ $fault == simulator-restarted ]]; then
        stop_program "$(sim_of passing)" TERM || true
        rm -rf -- "$scratch/passing"
    fi
}

tidy() {
    rm -rf -- "$out"
    if [[ $fault == disk ]]; then
        umount "$scratch/disk"
        rmdir "$scratch/disk"
    fi
}

# measure: what the shared simulator holds, a line a run.
measure() {
    local pid
    pid=$(sim_of shared)
    printf '%d %d %d\n' "$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")" "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" \
        "$(find "$scratch/shared" -type f | wc -l)" >>"$scratch/growth"
}

# grown COLUMN ALLOWED WHAT: the least of the last ten against the least of the first ten that count, after five to warm up.
grown() {
    local early late
    early=$(sed -n '6,15p' "$scratch/growth" | awk -v c="$1" 'NR == 1 || $c < m { m = $c } END { print m }')
    late=$(tail -n 10 "$scratch/growth" | awk -v c="$1" 'NR == 1 || $c < m { m = $c } END { print m }')
    printf '%s of the simulator that served %d runs: %d, at last %d\n' "$3" "$(wc -l <"$scratch/growth")" "$early" "$late"
    ((late - early <= $2)) || fail "$3 grew from $early to $late"
}

check_growth() {
    (($(wc -l <"$scratch/growth") >= 25)) || return 0
    # Freed memory waits in the sanitizer's quarantine; 8 KiB a run would be a leak.
    grown 1 $((8192 + 8 * $(wc -l <"$scratch/growth"))) 'KiB'
    grown 2 4 'open files'
    grown 3 2 'files in the folder'
}

# ---- the year -------------------------------------------------------------------------------------------------------------

[[ $DPSBENCH_OWN_MOUNTS == 1 ]] || printf 'NOT TESTED: full disks (no mount without root); these runs have no fault\n'
[[ -n $faketime ]] || printf 'NOT TESTED: clock steps (libfaketime is not installed); these runs have no fault\n'
export ASAN_OPTIONS=quarantine_size_mb=4:${ASAN_OPTIONS:-}
serve shared
: >"$scratch/growth"
for ((number = first; number < first + runs; number++)); do
    draw "$number"
    [[ $fault != disk || $DPSBENCH_OWN_MOUNTS == 1 ]] || fault=none
    [[ $fault != clock || -n $faketime ]] || fault=none
    it "run $number: $fault$detail, $victim, after $after rows and $delay_ms ms, ${rows[*]} (again: year.sh 1 $seed $number)"
    began=$SECONDS
    run_once
    check_code
    [[ $fault != run-killed || $code != 137 || ! -e $out/journal.jsonl ]] || resume
    check_rows
    check_nothing_left
    printf '  %s, code %d, %d s\n' "$summary" "$code" $((SECONDS - began))
    [[ $is_shared == 0 ]] || measure
    tidy
done
check_growth
printf '%d runs of seed %d: none hung, no result was lost or doubled, nobody was blamed wrongly\n' "$runs" "$seed"
