# shellcheck shell=bash
# interop_lib.sh - a simulator (tests/e2e/sim_lib.sh) and the clients that install.sh has put into DPSBENCH_INTEROP
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

# need PACKAGE...: ends the test as skipped when one is not installed; in CI install.sh has failed before.
need() {
    local package
    for package in "$@"; do
        [[ -d $DPSBENCH_INTEROP/node_modules/$package ]] || {
            printf 'NOT TESTED: %s is not installed\n' "$package"
            exit 77
        }
    done
}

# run_node SCRIPT [ARGUMENT]...: of this folder
run_node() {
    NODE_PATH=$DPSBENCH_INTEROP/node_modules timeout "${node_limit_s:-120}" node "$DPSBENCH_SOURCE/tests/interop/$1" "${@:2}"
}

# not_tested CLIENT: goes on, loudly; in CI it is a failure
not_tested() {
    [[ -z ${CI:-} ]] || fail "$1 is not installed"
    printf 'NOT TESTED: %s is not installed\n' "$1"
}
