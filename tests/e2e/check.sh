#!/bin/bash
# Each stage of `bench check` finds what it is for: a violation is planted into a copy of the repository, seen, and taken out again.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"
export DPSBENCH_NO_SETUP=1

for tool in clang clang-format clang-tidy cppcheck shellcheck; do
    command -v "$tool" >/dev/null || {
        printf 'skipped: %s is not installed\n' "$tool"
        exit 77
    }
done

repo="$scratch/repo"
mkdir "$repo"
(cd "$DPSBENCH_SOURCE" && find . \( -path ./build -o -path ./.git -o -path ./reports/out \) -prune -o -type f -print0 |
    tar --null --no-recursion -T - -c) | tar -x -C "$repo"

check() {
    local code=0
    "$repo/bench" check "$@" >"$scratch/out" 2>&1 || code=$?
    echo "$code"
}

# plant STAGE FILE TEXT: the stage must find it in the changed file.
plant() {
    local stage=$1 file=$repo/$2 text=$3
    it "check $stage finds: $text"
    cp "$file" "$scratch/saved"
    printf '%s\n' "$text" >>"$file"
    [[ $(check "$stage") == 1 ]] || fail "$(tail -n 20 "$scratch/out")"
    holds "$scratch/out" 'FINDINGS'
    holds "$scratch/out" "${2##*/}"
    cp "$scratch/saved" "$file"
}

it 'the repository is clean, and each stage says how much it looked at'
[[ $(check) == 0 ]] || fail "$(tail -n 50 "$scratch/out")"
for stage in format layers headers clang-tidy cppcheck shellcheck words links; do
    grep -qE "check $stage: [1-9][0-9]* .*, clean" "$scratch/out" || fail "no word of $stage in: $(cat "$scratch/out")"
done

plant format base/clock.c 'int  badly_formatted;'
plant layers base/clock.c '#include "harness/serial/serial_port.h"'
plant layers base/clock.c '#include "clock.h"'
plant headers base/clock.h 'struct needs_a_type { FILE *file; };'
plant clang-tidy base/clock.c 'int same(int a); int same(int a) { return a == 1 || a == 1; }'
plant cppcheck base/clock.c 'int beyond(void); int beyond(void) { int a[2] = {0}; return a[2]; }'
# shellcheck disable=SC2016
plant shellcheck tools/forbidden_words.sh 'rm $1'
plant words README.md "see /wo""rk/shared"
plant words base/clock.c "/* TO""DO: later */"
plant words base/clock.c "-----BEGIN PRIVATE K""EY-----"
plant links README.md '[nowhere](docs/nowhere.md)'
# shellcheck disable=SC2016
plant links README.md '| x | `chain.no-such-rule` | |'

it 'refuses a stage that does not exist'
is "$(check formatt)" 2
