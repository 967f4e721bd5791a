#!/bin/bash
# A board whose port is on another machine: Debian's ser2net in front of a virtual DK that was started by hand, over RFC 2217 and over bare TCP.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# ser2net is in /usr/sbin, which not everybody's PATH has.
PATH=$PATH:/usr/sbin
command -v ser2net >/dev/null || {
    echo 'skipped: ser2net is not installed'
    exit 77
}

await() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        ((SECONDS < deadline)) || fail "timed out: $*"
        read -rt 0.05 <> <(:) || true
    done
}

# listens PORT: the ser2net that was started last does, on loopback, and nobody else.
listens() {
    local inode
    inode=$(awk -v port="$(printf '0100007F:%04X' "$1")" '$2 == port && $4 == "0A" { print $10 }' /proc/net/tcp)
    [[ $inode ]] && find "/proc/$ser2net_pid/fd" -lname "socket:\[$inode\]" 2>/dev/null | grep -q .
}

# start_ser2net PTY: two ports in front of it; sets rfc2217_port, tcp_port, ser2net_pid. ser2net takes no port 0, so somebody may be quicker:
# then again.
start_ser2net() {
    local try tick
    for try in 1 2 3 4 5; do
        [[ -n ${rfc2217_port:-} ]] || rfc2217_port=$("$DPSBENCH_TESTS/free_port") tcp_port=$("$DPSBENCH_TESTS/free_port")
        cat >"$scratch/ser2net.yaml" <<YAML
connection: &rfc2217
  accepter: telnet(rfc2217),tcp,127.0.0.1,$rfc2217_port
  connector: serialdev,$1,115200n81,local
connection: &tcp
  accepter: tcp,127.0.0.1,$tcp_port
  connector: serialdev,$1,115200n81,local
YAML
        ser2net -n -u -c "$scratch/ser2net.yaml" >"$scratch/ser2net.log" 2>&1 &
        ser2net_pid=$!
        started+=("$ser2net_pid")
        for ((tick = 0; tick < 100; tick++)); do
            if listens "$rfc2217_port" && listens "$tcp_port"; then
                return
            fi
            read -rt 0.05 <> <(:) || true
        done
        stop_program "$ser2net_pid" TERM || true
        rfc2217_port=''
    done
    fail "ser2net found no port in $try tries: $(cat "$scratch/ser2net.log")"
}

id=nrf-352656100000004 scope=0ne000DDDD4
mkdir "$scratch/sim"
"$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/sim" --listen 127.0.0.1:0 --id-scope "$scope" >/dev/null 2>"$scratch/sim.log" &
started+=($!)
await test -e "$scratch/sim/ready.json"
"$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --dps-host global.azure-devices-provisioning.net --connect "$(jq -r .dps "$scratch/sim/ready.json")" \
    --id-scope "$scope" --registration-id "$id" --sec-tag 16842753 >/dev/null 2>"$scratch/dk.log" &
dk_pid=$!
started+=("$dk_pid")
await test -e "$scratch/dk/ready.json"
start_ser2net "$(jq -r .pty "$scratch/dk/ready.json")"

# board SERIAL: a rig file with this port; prints its path.
board() {
    cat >"$scratch/board.yaml" <<RIG
format: 1
devices:
  - id: '000960012345'
    serial: $1
    registration_id: $id
    id_scope: $scope
    sec_tag: 16842753
    hooks:
      reset: [kill, -HUP, '$dk_pid']
      chip_erase: [kill, -USR1, '$dk_pid']
simulator: {ready: $scratch/sim}
health: none
RIG
    printf '%s' "$scratch/board.yaml"
}

# stays_open FD: the server neither ends the connection nor says in words why it will, for half a second. (read: above 128 is its time limit.)
stays_open() {
    local code=0 text
    LC_ALL=C IFS= read -r -N 4096 -t 0.5 -u "$1" text 2>/dev/null || code=$?
    ((code > 128)) && [[ $text != *"Port's device"* ]]
}

# Another client on the port. A server that still lets go of the one before begins to negotiate too, and then says that the device is in use.
hold_port() {
    local first deadline=$((SECONDS + 20))
    until exec {held}<>"/dev/tcp/127.0.0.1/$rfc2217_port" && LC_ALL=C IFS= read -r -N 1 -t 5 -u "$held" first && [[ $first == $'\xff' ]] &&
        stays_open "$held"; do
        exec {held}>&-
        ((SECONDS < deadline)) || fail 'the port cannot be held'
        read -rt 0.05 <> <(:) || true
    done
}

unset DPSBENCH_TIME_SCALE

it 'runs over RFC 2217: credentials are written and verified, boots and lines come back'
run_cases --rig "$(board "rfc2217://127.0.0.1:$rfc2217_port")" refused/cn-mismatch:connack
exits 0
is "$(last_line)" '1 passed, 0 failed, 0 skipped'

it 'runs over bare TCP'
run_cases --rig "$(board "tcp://127.0.0.1:$tcp_port")" server/host-name-mismatch
exits 0

it 'says that a port is held by another client'
hold_port
run_cases --rig "$(board "rfc2217://127.0.0.1:$rfc2217_port")" server/host-name-mismatch
exec {held}>&-
exits 3
holds "$scratch/stdout" 'does another client hold the port'

it 'blames the server, and not the board, when it stands still'
start_run --rig "$(board "rfc2217://127.0.0.1:$rfc2217_port")" server/host-name-mismatch
await grep -qs '"kind":"console.boot"' "$out/timeline.jsonl"
kill -STOP "$ser2net_pid"
end_run
kill -CONT "$ser2net_pid"
exits 3
holds "$scratch/stdout" 'the server does not answer any more'

it 'says that nobody serves the port'
stop_program "$ser2net_pid" TERM || true
run_cases --rig "$(board "rfc2217://127.0.0.1:$rfc2217_port")" server/host-name-mismatch
exits 3
holds "$scratch/stdout" "open 'rfc2217://127.0.0.1:$rfc2217_port'"
holds "$scratch/stdout" 'does ser2net (or what serves the port) run there'

it 'refuses an address that is none, with its place in the rig file'
run_cases --rig "$(board rfc2217://127.0.0.1)" server/host-name-mismatch
exits 2
holds "$scratch/stderr" "board.yaml:4:13: port 'rfc2217://127.0.0.1': no port number"
