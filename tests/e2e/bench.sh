#!/bin/bash
# The script ./bench itself: set-up, configuring, arguments, exit codes. The machine is played by small programs in front of PATH, which
# write down how they were called; nothing is installed, nothing is built.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"
unset DPSBENCH_NO_SETUP

repo="$scratch/a path with spaces/repo"
fakes="$scratch/fakes" calls="$scratch/calls"
mkdir -p "$repo" "$fakes" "$scratch/elsewhere"
cp -r "$DPSBENCH_SOURCE"/{bench,tools,CMakePresets.json} "$repo"

fake() {
    printf '#!/bin/bash\n%s\n' "$2" >"$fakes/$1"
    chmod +x "$fakes/$1"
}
# shellcheck disable=SC2016 # expanded when the fake runs
{
    fake dpkg-query 'cat "$FAKE_INSTALLED"'
    fake apt-get 'echo "apt-get $*" >>"$FAKE_CALLS"; [[ ! -e $FAKE_APT_FAILS ]] || exit 100
        for p in "$@"; do printf "installed:%s " "$p" >>"$FAKE_INSTALLED"; done'
    fake sudo 'echo "sudo" >>"$FAKE_CALLS"; "$@"'
    fake id 'echo "$FAKE_UID"'
    fake cmake 'echo "cmake $*" >>"$FAKE_CALLS"; mkdir -p build; touch build/build.ninja'
    fake ninja 'echo "ninja $*" >>"$FAKE_CALLS"; [[ ! -e $FAKE_NINJA_FAILS ]] || { echo "FAILED: main.o"; echo "main.c:1: broken"; exit 1; }
        mkdir -p "$2/bin" "$2/perf"; cp "$FAKE_PROGRAM" "$2/bin/dpsbench"; cp "$FAKE_PROGRAM" "$2/perf/run"'
    fake program 'printf "[%s]" "$@"; echo; exit 5'
}
export FAKE_CALLS="$calls" FAKE_INSTALLED="$scratch/installed" FAKE_UID=0 FAKE_PROGRAM="$fakes/program"
export FAKE_APT_FAILS="$scratch/apt-fails" FAKE_NINJA_FAILS="$scratch/ninja-fails"
# Of the real machine only these, so that its own sudo and apt-get do not show through.
for tool in bash awk cat cksum cp dirname env find grep head mkdir nproc rm sort tail touch tr wc; do
    ln -s "$(command -v "$tool")" "$fakes/$tool"
done

bench() {
    local code=0
    : >"$calls"
    (cd "$scratch/elsewhere" && PATH="$fakes" "$repo/bench" "$@" >"$scratch/out" 2>"$scratch/err") || code=$?
    echo "$code"
}
forget_installed() {
    : >"$FAKE_INSTALLED"
}

it 'helps, with examples, and knows its verbs'
is "$(bench help)" 0
holds "$scratch/out" './bench run --rig'
for verb in setup build run test check perf year clean help; do
    holds "$scratch/out" "  $verb"
done
is "$(bench)" 0
is "$(bench nonsense)" 2
holds "$scratch/err" "no verb 'nonsense'"
is "$(bench test --lang)" 2
is "$(bench year many)" 2

it 'says what it installs before it does, and how the package mosquitto behaves'
forget_installed
is "$(bench run)" 5
holds "$scratch/err" 'installing with apt-get: build-essential cmake'
holds "$scratch/err" 'starts a system service on port 1883'
is "$(head -n 1 "$calls")" 'apt-get -q -o Dpkg::Use-Pty=0 update'
holds "$calls" 'apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends build-essential cmake ninja-build'
holds "$calls" ' mosquitto mosquitto-clients openssl'
lacks "$calls" 'clang'
lacks "$calls" 'sudo'

it 'calls neither apt-get nor cmake when nothing changed'
is "$(bench run)" 5
lacks "$calls" 'apt-get'
lacks "$calls" 'cmake'
holds "$calls" 'ninja'

it 'passes arguments and exit code of dpsbench on, byte for byte'
is "$(bench run --rig 'my rig.yaml' '*' '')" 5
is "$(cat "$scratch/out")" '[run][--rig][my rig.yaml][*][]'

it 'installs only what is missing'
mapfile -t packages < <(sed -n '/^packages_run=(/,/)$/p' "$repo/bench" | sed 's/^packages_run=(//; s/)$//' | tr -s ' ' '\n' | grep -vx openssl)
[[ " ${packages[*]} " == *' mosquitto '* ]] || fail "packages of bench: ${packages[*]}"
printf 'installed:%s ' "${packages[@]}" >"$FAKE_INSTALLED"
is "$(bench build)" 0
is "$(tail -n +2 "$calls" | grep apt-get)" 'apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends openssl'
lacks "$scratch/err" '1883'

it 'does not take a package that was removed but left its configuration for installed'
printf 'config-files:openssl installed:xopenssl ' >"$FAKE_INSTALLED"
is "$(bench build)" 0
holds "$calls" ' openssl'

it 'uses sudo where it is not root, and names the packages where it cannot'
forget_installed
FAKE_UID=1000
is "$(bench build)" 0
holds "$calls" 'sudo'
forget_installed
mv "$fakes/sudo" "$fakes/sudo.away"
is "$(bench build)" 3
holds "$scratch/err" 'as root: apt-get install build-essential'
mv "$fakes/sudo.away" "$fakes/sudo"
FAKE_UID=0

it 'ends with 3 when apt-get fails'
forget_installed
touch "$FAKE_APT_FAILS"
is "$(bench build)" 3
rm "$FAKE_APT_FAILS"

it 'leaves packages alone when told to'
forget_installed
export DPSBENCH_NO_SETUP=1
is "$(bench build)" 0
lacks "$calls" 'apt-get'

it 'configures again when the presets changed or the repository was moved'
is "$(bench build)" 0
lacks "$calls" 'cmake'
echo >>"$repo/CMakePresets.json"
is "$(bench build)" 0
holds "$calls" 'cmake --preset default'
mv "$repo" "$scratch/moved"
repo="$scratch/moved"
is "$(bench build)" 0
holds "$calls" 'cmake --preset default'

it 'shows the failing step of a build and ends with 1'
touch "$FAKE_NINJA_FAILS"
is "$(bench test)" 1
is "$(tail -n 1 "$scratch/out")" '0 passed, 1 failed, 0 skipped'
is "$(bench run)" 1
holds "$scratch/err" 'main.c:1: broken'
holds "$scratch/err" 'building default failed'
rm "$FAKE_NINJA_FAILS"

it 'colours nothing that is not a terminal'
is "$(bench build)" 0
lacks "$scratch/err" $'\033'

it 'passes arguments and exit code of the benchmarks on'
is "$(bench perf --quick)" 5
is "$(cat "$scratch/out")" '[--quick]'

it 'cleans what it built'
is "$(bench clean)" 0
missing "$repo/build"

it 'counts each test of a program, and a crash as a failure'
tally() {
    awk -f "$DPSBENCH_SOURCE/tools/tally.awk"
}
log_of() {
    printf '1/1 Testing: %s\n1/1 Test: %s\nOutput:\n%s\n<end of output>\nTest %s\n' "$1" "$1" "$2" "$3"
}
three=$'[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n[  FAILED  ] b\n[  SKIPPED ] c
[==========] 3 test(s) run.\n[  PASSED  ] 1 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] c
[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] b'
is "$(log_of unit "$three" Failed. | tally)" '1 1 1'
is "$(log_of unit $'[       OK ] a\nAddressSanitizer: crash' Failed. | tally)" '1 1 0'
is "$(log_of script 'some output' Passed. | tally)" '1 0 0'
is "$(log_of script 'some output' Failed. | tally)" '0 1 0'
is "$(log_of script 'some output' Skipped. | tally)" '0 0 1'
is "$({ log_of x '' Passed.; log_of y '' Failed.; log_of z '[       OK ] z' Passed.; } | tally)" '2 1 0'
is "$(tally </dev/null)" '0 0 0'

# ci QUICK LONG: .ci/run with a bench that ends each tier so ("LAST-LINE|EXIT-CODE"); prints the exit code, and leaves its words in $scratch/out.
ci() {
    local code=0
    mkdir -p "$scratch/ci/.ci"
    cp "$DPSBENCH_SOURCE/.ci/run" "$scratch/ci/.ci/run"
    # shellcheck disable=SC2016 # expanded when the stub runs
    printf '#!/bin/bash\necho "$*" >>"$FAKE_CALLS"\nend=$CI_QUICK\n[[ "$*" != "test --long" ]] || end=$CI_LONG\necho working\nprintf "%%s\\n" "${end%%|*}"\nexit "${end##*|}"\n' \
        >"$scratch/ci/bench"
    chmod +x "$scratch/ci/bench"
    : >"$calls"
    (cd "$scratch/elsewhere" && CI_QUICK=$1 CI_LONG=$2 "$scratch/ci/.ci/run" >"$scratch/out" 2>"$scratch/err") || code=$?
    echo "$code"
}

it 'adds both tiers up for CI, whatever folder it is called from'
is "$(ci '10 passed, 0 failed, 1 skipped|0' '200 passed, 0 failed, 3 skipped|0')" 0
is "$(tail -n 1 "$scratch/out")" '210 passed, 0 failed, 4 skipped'
is "$(cat "$calls")" $'test\ntest --long'
holds "$scratch/out" working

it 'fails CI when one tier fails, and runs the other all the same'
is "$(ci '9 passed, 1 failed, 0 skipped|1' '20 passed, 0 failed, 0 skipped|0')" 1
is "$(tail -n 1 "$scratch/out")" '29 passed, 1 failed, 0 skipped'
is "$(ci '9 passed, 0 failed, 0 skipped|0' '20 passed, 2 failed, 0 skipped|1')" 1
is "$(tail -n 1 "$scratch/out")" '29 passed, 2 failed, 0 skipped'
is "$(ci '9 passed, 0 failed, 0 skipped|3' '20 passed, 0 failed, 0 skipped|0')" 1
is "$(wc -l <"$calls")" 2

it 'counts a tier without its closing line as a failure of CI'
is "$(ci 'killed|0' '20 passed, 0 failed, 0 skipped|0')" 1
is "$(tail -n 1 "$scratch/out")" '20 passed, 1 failed, 0 skipped'
holds "$scratch/out" 'ended without its closing line'
is "$(ci '9 passed, 0 failed, 0 skipped|0' '20 passed, 0 failed, 0 skipped, and more|0')" 1
is "$(tail -n 1 "$scratch/out")" '9 passed, 1 failed, 0 skipped'
