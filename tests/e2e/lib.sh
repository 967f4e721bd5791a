# shellcheck shell=bash
# lib.sh - what the scripts of tests/e2e share: a scratch folder, assertions that say where they fail, programs that are ended at the end.
# Environment: DPSBENCH_BIN (the programs), DPSBENCH_TESTS (helpers), DPSBENCH_SOURCE, DPSBENCH_TIME_SCALE.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpsbench-e2e.XXXXXX")
# Boards' writes are counted there, not in the state folder of whoever runs the tests.
export XDG_STATE_HOME=$scratch/xdg-state
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

# start_program NAME PROGRAM ARGUMENT...: start it and wait for its ready line, which goes to $scratch/NAME.ready; its stderr to NAME.log.
start_program() {
    local name=$1 line fd pid
    shift
    # Its stdout stays open: a program that cannot print would end.
    exec {fd}< <(exec "$@" 2>"$scratch/$name.log")
    pid=$!
    started+=("$pid")
    if ! IFS= read -r -t 60 -u "$fd" line; then
        fail "$name did not become ready: $(tail -n 20 "$scratch/$name.log")"
    fi
    printf '%s\n' "$line" >"$scratch/$name.ready"
}

# ready NAME MEMBER: what the ready line says.
ready() {
    jq -er --arg member "$2" '.[$member]' "$scratch/$1.ready"
}

# start_simulator ARGUMENT...: on $scratch/state.
start_simulator() {
    start_program sim "$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/state" --time-scale "$DPSBENCH_TIME_SCALE" "$@"
}

# start_device NAME REGISTRATION_ID: a virtual DK with the personality of Nordic's sample, sec tag 56 as in the thread.
start_device() {
    start_program "$1" "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/$1" --dps-host "$(ready sim host)" --connect "$(ready sim dps)" \
        --id-scope "$(ready sim id_scope)" --registration-id "$2" --sec-tag 56 --personality nordic-sample \
        --time-scale "$DPSBENCH_TIME_SCALE"
}

# talk NAME STEP...: at the device's serial port; its lines go to $scratch/NAME.console.
talk() {
    local name=$1
    shift
    "$DPSBENCH_TESTS/pty_talk" "$(ready "$name" pty)" "$scratch/$name.console" "$@" || fail "serial port of $name; $(tail -n 30 "$scratch/$name.console")"
}

# write_credentials NAME CHAIN KEY ROOT: the three writes of the thread's step 12. A fresh device has no credentials and gives up at its first
# boot; before it has, its application would switch the modem on again behind our back.
write_credentials() {
    talk "$1" expect 'terminating connection attempt' 60 at AT+CFUN=4 cmng 56 1 "$2" cmng 56 2 "$3" cmng 56 0 "$4"
}

# messages FILE: the console's log lines without their time stamps.
messages() {
    sed -nE 's/^\[[0-9:.,]+\] (<.*)$/\1/p' "$1"
}

# events KIND REGISTRATION_ID: the `data` of these events so far.
events() {
    jq -c --arg kind "$1" --arg id "$2" 'select(.kind == $kind and .registration_id == $id) | .data' "$(ready sim events)"
}

# await_event KIND REGISTRATION_ID: until the simulator has written one.
await_event() {
    local code=0
    timeout 60 grep -q -m 1 -E "\"kind\":\"$1\".*\"registration_id\":\"$2\"" < <(exec tail -n +1 -f "$(ready sim events)") || code=$?
    kill $! 2>/dev/null || true
    [[ $code == 0 ]] || fail "no event $1 of $2 came"
}

# observe FILE REGISTRATION_ID CERTIFICATE KEY: a client that is not ours connects as the device does. Gives mosquitto_sub's exit status:
# the return code of CONNACK; 27 when it was accepted and nothing came within two seconds.
observe() {
    local code=0 address
    address=$(ready sim dps)
    # shellcheck disable=SC2016 # $dps is a topic
    mosquitto_sub -h "${address%:*}" -p "${address##*:}" --cafile "$(ready sim root_ca)" --cert "$3" --key "$4" -i "$2" -V mqttv311 -W 2 \
        -u "$(ready sim id_scope)/registrations/$2/api-version=2019-03-31" -t '$dps/registrations/res/#' >"$1" 2>&1 || code=$?
    echo "$code"
}

eight_lines='<err> azure_iot_hub_dps: Connection was rejected with return code 5
<wrn> azure_iot_hub_dps: Is the device certificate valid?
<err> mqtt_helper: Library is in the wrong state (MQTT_STATE_DISCONNECTED), MQTT_STATE_CONNECTED required
<err> azure_iot_hub_dps: Failed to disconnect gracefully, error: -95
<err> azure_iot_hub_dps: There was a failure during DPS registration, process is stopped
<inf> azure_iot_hub_sample: DPS registration status: AZURE_IOT_HUB_DPS_REG_STATUS_FAILED
<err> azure_iot_hub_sample: Failed to run DPS, error: -14, terminating connection attempt
<err> mqtt_helper: Cloud MQTT input error: -111'

# refused NAME REGISTRATION_ID CERTIFICATE KEY: the eight lines in order, and the same answer to a client that is not ours.
refused() {
    talk "$1" signal "$(ready "$1" pid)" "$(kill -l HUP)" expect 'Cloud MQTT input error: -111' 60
    is "$(messages "$scratch/$1.console" | tail -n 8)" "$eight_lines"
    is "$(observe "$scratch/observed" "$2" "$3" "$4")" 5
    holds "$scratch/observed" 'not authorised'
}

# assigned NAME REGISTRATION_ID: it gets its hub, connects there, and telemetry arrives.
assigned() {
    talk "$1" signal "$(ready "$1" pid)" "$(kill -l HUP)" expect 'AZURE_IOT_HUB_DPS_REG_STATUS_ASSIGNED' 60 \
        expect 'AZURE_IOT_HUB_EVT_CONNECTED' 60 expect 'Event was successfully sent' 60
    await_event hub.telemetry "$2"
    is "$(events dps.assigned "$2" | jq -r .device_id | head -n 1)" "$2"
    is "$(events hub.verdict "$2" | jq -r .verdict | sort -u)" accepted
    is "$(events hub.telemetry "$2" | jq -r .device_id | sort -u)" "$2"
}
