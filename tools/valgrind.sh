#!/bin/bash
# valgrind.sh SUPPRESSIONS NAME PROGRAM - one test under valgrind: one line about how it went, and what it said when it failed.
set -euo pipefail

suppressions=$1 name=$2 program=$3
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT

if timeout 600 valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
    --suppressions="$suppressions" --child-silent-after-fork=yes "$program" </dev/null >"$log" 2>&1; then
    printf 'valgrind %s: passed\n' "$name"
elif grep -q 'unhandled amd64-linux syscall' "$log"; then
    printf 'valgrind %s: skipped, it needs a system call that this valgrind does not know\n' "$name"
else
    printf 'valgrind %s: failed\n%s\n' "$name" "$(tail -n 40 -- "$log")"
fi
