#!/bin/bash
# Boards that differ in their ports: AT commands through a shell, and a console on a port of its own.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

cat >"$scratch/ports.yaml" <<RIG
format: 1
devices:
  - {id: shell, registration_id: nrf-352656100000005, id_scope: 0ne000EEEE5, sec_tag: 57, virtual: {misbehaviours: [uart-shell]}}
  - {id: two, registration_id: nrf-352656100000006, id_scope: 0ne000EEEE5, sec_tag: 57, virtual: {misbehaviours: [second-vcom]}}
RIG

it 'runs cases through a shell, and with a second port'
run_cases --rig "$scratch/ports.yaml" refused/cn-mismatch:connack provisioning/guide
exits 0
is "$(last_line)" '4 passed, 0 failed, 0 skipped'
is "$(report '[.rig.devices | sort_by(.id)[].identity.transport] | join(" ")')" 'at-shell at-host'

it 'says which port a line came from, where there are two'
is "$(jq -r 'select(.kind == "console.boot").data.port' "$out/two/timeline.jsonl" | sort -u)" console
is "$(jq -r 'select(.kind == "console.boot").data.port' "$out/shell/timeline.jsonl" | sort -u)" null

it 'keeps what a shell draws out of the timeline, and the key out of everything'
jq -r 'select(.kind == "console.line").data.text' "$out/shell/timeline.jsonl" >"$scratch/lines"
lacks "$scratch/lines" 'uart:~$'
lacks "$scratch/lines" "at 'AT"
holds "$out/shell/console.raw" "at 'AT+CFUN=4'"
lacks "$out/shell/console.raw" 'PRIVATE KEY--'
lacks "$out/shell/timeline.jsonl" 'PRIVATE KEY--'
