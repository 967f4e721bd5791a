#!/bin/bash
# azure-iot-provisioning-service, unchanged, against the service API: every operation of the package, and each of its errors that the service can give.
set -euo pipefail
# shellcheck source=tests/interop/interop_lib.sh
. "$DPSBENCH_SOURCE/tests/interop/interop_lib.sh"
need azure-iot-provisioning-service

make_root root 'Interop Root'
make_self_signed dev-01 dev-01
sign dev-02 dev-02 root 'extendedKeyUsage=clientAuth'
start_sim "$scratch/sim"

# play PART: of service_api.js
play() {
    is "$(run_node service_api.js "$state" "$scratch" "$1")" "$1: done"
}

it 'does every operation of the package'
play operations

it 'shows what devices did'
assign dev-01 dev-01
play registrations

it 'gives the errors that the package knows by name'
printf 'this is no JSON' >"$state/enrollments/broken.json"
play errors
end_sim TERM
