# shellcheck shell=bash
# lib.sh - what the scripts of tests/e2e share: a scratch folder, assertions that say where they fail, programs that are ended at the end.
# Environment: DPSBENCH_BIN (the programs), DPSBENCH_TESTS (helpers), DPSBENCH_SOURCE, DPSBENCH_TIME_SCALE.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpsbench-e2e.XXXXXX")
story='(start)'
started=()

# it 'does something': names what is checked next; printed, and again with a failure.
it() {
    story=$1
    printf -- '- %s\n' "$story"
}

fail() {
    printf 'FAILED: %s\n  %s\n' "$story" "$*" >&2
    local frame=0 place
    while place=$(caller "$frame"); do
        printf '  at %s\n' "$place" >&2
        frame=$((frame + 1))
    done
    exit 1
}

is() {
    [[ $1 == "$2" ]] || fail "expected '$2', got '$1'"
}

holds() {
    grep -qF -e "$2" -- "$1" || fail "'$2' is not in $1:"$'\n'"$(tail -n 30 -- "$1")"
}

lacks() {
    ! grep -qF -e "$2" -- "$1" || fail "'$2' is in $1: $(grep -F -m 1 -e "$2" -- "$1")"
}

missing() {
    [[ ! -e $1 ]] || fail "$1 exists"
}

# Without this a failed command under `set -e` would end a script without a word.
trap 'fail "command failed: $BASH_COMMAND"' ERR
set -E

# stop_program PID SIGNAL: end it, and give its exit status. For programs of start_program alone.
stop_program() {
    local code=0
    kill "-$2" "$1" 2>/dev/null || true
    wait "$1" || code=$?
    return "$code"
}

clean_up() {
    local code=$? pid
    trap - ERR
    for pid in "${started[@]}"; do
        stop_program "$pid" TERM 2>/dev/null || true
    done
    rm -rf -- "$scratch"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
