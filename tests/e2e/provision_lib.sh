# shellcheck shell=bash
# provision_lib.sh - a production line of virtual DKs: a simulator, N devices on their ptys, a rig file that takes them for boards.

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

dpsbench=$DPSBENCH_BIN/dpsbench
export DPSBENCH_LEDGER=$scratch/wear.db
scope=0ne000DDDD4
code=0

# make_ca: $scratch/ca/{root,ca}.{crt,key}.pem
make_ca() {
    "$dpsbench" certs make issuing --out "$scratch/ca" >/dev/null
}

# start_boards N [ARGUMENT]...: virtual DKs 1..N, all at once; the arguments go to each of them.
start_boards() {
    local count=$1 i
    shift
    for ((i = 1; i <= count; i++)); do
        start_board "$i" "$@"
    done
    for ((i = 1; i <= count; i++)); do
        await_board "$i"
    done
}

# start_board I [ARGUMENT]...
start_board() {
    local i=$1
    shift
    "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk-$i" --dps-host "$(ready sim host)" --connect "$(ready sim dps)" --id-scope "$scope" \
        --registration-id "nrf-$(imei_of "$i")" --imei "$(imei_of "$i")" --sec-tag 56 --time-scale "$DPSBENCH_TIME_SCALE" "$@" \
        >/dev/null 2>"$scratch/dk-$i.log" &
    started+=($!)
}

await_board() {
    local deadline=$((SECONDS + 120))
    until [[ -e $scratch/dk-$1/ready.json ]]; do
        ((SECONDS < deadline)) || fail "virtual DK $1 is not ready: $(cat "$scratch/dk-$1.log")"
        read -rt 0.05 <> <(:) || true
    done
}

imei_of() {
    printf '35265610%07d' "$1"
}

# rig_entry I: a device of the rig file.
rig_entry() {
    local ready=$scratch/dk-$1/ready.json
    cat <<RIG
  - id: slot-$1
    serial: $(jq -r .pty "$ready")
    registration_id: nrf-$(imei_of "$1")
    id_scope: $scope
    sec_tag: 56
    hooks: {reset: [kill, -HUP, '$(jq -r .pid "$ready")'], chip_erase: [kill, -USR1, '$(jq -r .pid "$ready")']}
RIG
}

# make_rig N
make_rig() {
    local i
    {
        printf 'format: 1\ndevices:\n'
        for ((i = 1; i <= $1; i++)); do
            rig_entry "$i"
        done
        printf 'simulator: {ready: %s}\n' "$scratch/state"
    } >"$scratch/line.yaml"
}

# provision ARGUMENT...: into $scratch/lot; its output in $scratch/stdout and stderr, its exit code in $code.
provision() {
    code=0
    "$dpsbench" provision --rig "$scratch/line.yaml" --ca "$scratch/ca/ca.crt.pem" --ca-key "$scratch/ca/ca.key.pem" --out "$scratch/lot" --json \
        "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

exits() {
    [[ $code == "$1" ]] || fail "expected exit code $1, got $code:"$'\n'"$(tail -n 40 "$scratch/stdout" "$scratch/stderr" "$scratch"/lot/logs/*.log)"
}

# ended OUTCOME: how many boards of the last call.
ended() {
    jq -r --arg outcome "$1" '.[$outcome]' "$scratch/stdout"
}

manifest() {
    jq -r "$1" "$scratch/lot/manifest.json"
}
