#!/bin/bash
# A good device passes every case: what a case asks for can be done.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

it 'passes every case on the personality reference'
run_cases --rig "$DPSBENCH_SOURCE/fixtures/rigs/reference.yaml"
exits 0
is "$(report '.summary.pass')" "$("$dpsbench" list | wc -l)"
is "$(report .rig.devices[0].personality)" reference
