# shellcheck shell=bash
# run_lib.sh - what the scripts of `dpsbench run` share.

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
run_count=0
# Set by run_cases: the run's folder, its report, its exit code.
out='' results='' code=0

# run_cases ARGUMENT...: `dpsbench run` into a folder of its own; output in $scratch/stdout and $scratch/stderr.
run_cases() {
    run_count=$((run_count + 1))
    out=$scratch/out-$run_count results=$scratch/out-$run_count/results.json code=0
    "$dpsbench" run --out "$out" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

# exits CODE: the last run ended so; else its report is shown.
exits() {
    [[ $code == "$1" ]] || fail "expected exit code $1, got $code:"$'\n'"$(cat "$scratch/stdout" "$scratch/stderr")"
}

report() {
    jq -r "$1" "$results"
}

last_line() {
    tail -n 1 "$scratch/stdout"
}

# rig NAME PERSONALITY [WEAKNESS]...: a rig file with one virtual DK; prints its path.
rig() {
    local path=$scratch/$1.yaml personality=$2
    shift 2
    local IFS=,
    cat >"$path" <<RIG
format: 1
devices:
  - id: dk
    registration_id: nrf-352656100000002
    id_scope: 0ne000BBBB2
    sec_tag: 57
    virtual: {personality: $personality, weaknesses: [$*]}
RIG
    printf '%s' "$path"
}

# No process of a run whose folder is DIR lives any more.
nobody_left() {
    local pid
    for pid in /proc/[0-9]*; do
        ! tr '\0' ' ' 2>/dev/null <"$pid/cmdline" | grep -qF -e "$1/.private" || fail "still running: $(tr '\0' ' ' <"$pid/cmdline")"
    done
}

# start_run [ARGUMENT]...: as run_cases, in the background.
start_run() {
    run_count=$((run_count + 1))
    out=$scratch/out-$run_count results=$scratch/out-$run_count/results.json
    "$dpsbench" run --out "$out" "$@" >"$scratch/stdout" 2>"$scratch/stderr" &
    run_pid=$!
    started+=("$run_pid")
}

end_run() {
    code=0
    wait "$run_pid" || code=$?
}

# await_row N: so many rows are in the report.
await_row() {
    local deadline=$((SECONDS + 60))
    until [[ -e $results ]] && [[ $(jq '.rows | length' "$results") -ge $1 ]]; do
        ((SECONDS < deadline)) || fail "row $1 did not end in time"
        kill -0 "$run_pid" || fail "the run ended: $(cat "$scratch/stderr")"
        read -rt 0.05 <> <(:) || true
    done
}
