#!/bin/bash
# `dpsbench devices`, `dpsbench rig init` and `dpsbench doctor` on a machine that is made up: a folder with the parts of /sys and /dev that they read, and
# virtual DKs behind its ports.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

machine=$scratch/machine
export DPSBENCH_PORTS_ROOT=$machine

# usb LOCATION VENDOR PRODUCT SERIAL: a USB device.
usb() {
    local folder=$machine/sys/devices/usb1/$1
    mkdir -p "$folder"
    printf '%s\n' "$2" >"$folder/idVendor"
    printf '%s\n' "$3" >"$folder/idProduct"
    printf '%s\n' "$4" >"$folder/serial"
    printf 'SEGGER\n' >"$folder/manufacturer"
    printf 'J-\e[7mLink\n' >"$folder/product"
}

# port NAME LOCATION INTERFACE TARGET [BY_ID]: one of its ports, behind which is TARGET.
port() {
    local folder=$machine/sys/devices/usb1/$2/$2:1.$3
    mkdir -p "$folder" "$machine/sys/class/tty/$1" "$machine/dev/serial/by-id"
    printf '%02x\n' "$3" >"$folder/bInterfaceNumber"
    ln -sfn "$folder" "$machine/sys/class/tty/$1/device"
    ln -sfn "$4" "$machine/dev/$1"
    [[ -z ${5-} ]] || ln -sfn "../../$1" "$machine/dev/serial/by-id/$5"
}

# vdk NAME [ARGUMENT]...: a virtual DK.
vdk() {
    local name=$1
    shift
    start_program "$name" "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dks/$name" --connect 127.0.0.1:9 --id-scope 0ne000AAAA1 \
        --registration-id "r-$name" --sec-tag 56 --time-scale "$DPSBENCH_TIME_SCALE" "$@"
}

# tool ARGUMENT...: dpsbench; its exit status in $code, output in $scratch/stdout and $scratch/stderr.
tool() {
    code=0
    "$dpsbench" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
}

json() {
    jq -r "$@" "$scratch/stdout"
}

mkdir "$scratch/dks"
vdk one --misbehaviour second-vcom --imei 352656100000001
vdk two --imei 352656100000002
vdk held --imei 352656100000003
usb 1-1 1366 1059 000960012345
port ttyACM1 1-1 2 "$(ready one pty2)" usb-SEGGER_J-Link_000960012345-if02
port ttyACM0 1-1 0 "$(ready one pty)" usb-SEGGER_J-Link_000960012345-if00
usb 1-2.1 1366 1059 000960054321
port ttyACM10 1-2.1 0 "$(ready two pty)" usb-SEGGER_J-Link_000960054321-if00
usb 1-2.2 1366 1059 001051216197
port ttyACM9 1-2.2 0 "$(ready held pty)"
usb 1-3 0403 6001 A1
port ttyUSB0 1-3 0 /dev/null
# Somebody else has that port open, and its lock.
exec {note_fd}< <(exec flock --no-fork "$(ready held pty)" sh -c 'echo; exec sleep 600')
holder=$!
started+=("$holder")
read -ru "$note_fd"

it 'lists ports with USB ids, serial numbers, by-id names and VCOMs, and who answers there'
tool devices --json
exits 0
is "$(json '[.ports[].path] | map(split("/")[-1]) | join(" ")')" 'ttyACM0 ttyACM1 ttyACM10 ttyACM9 ttyUSB0'
is "$(json '.ports[0] | [.vcom, .usb.vendor_id, .usb.product_id, .usb.serial, .usb.location, .board, .platform, .answers, .imei, .cfun] | join(" ")')" \
    '0 1366 1059 000960012345 1-1 nRF9160 DK nrf9160dk/nrf9160/ns at-host 352656100000001 1'
is "$(json '.ports[0].by_id')" "$machine/dev/serial/by-id/usb-SEGGER_J-Link_000960012345-if00"
is "$(json '.ports[0].firmware')" mfw_nrf91x1_2.0.2
is "$(json '.ports[1].vcom')" 1
is "$(json '.ports[1].answers | test("talks|nothing")')" true
is "$(json '.ports[3] | [.board, .answers] | join(" ")')" 'nRF9151 DK busy'
json '.ports[3].text' | grep -qF "held by sleep (pid $holder)" || fail "the holder is not named: $(json '.ports[3].text')"
is "$(json '.ports[4].answers')" not-asked

it 'shows foreign bytes of descriptors as what they are not'
is "$(json '.ports[0].usb.product')" 'J-?[7mLink'

it 'prints the same for a person'
tool devices 960054321 1051216197
exits 0
holds "$scratch/stdout" 'mfw_nrf91x1_2.0.2, IMEI 352656100000002, CFUN 1'
holds "$scratch/stdout" 'held by sleep'

it 'never guesses between two equal boards'
tool devices nrf9160dk
exits 2
holds "$scratch/stderr" "'nrf9160dk' fits 2 boards: 000960012345 ($machine/dev/ttyACM0), 000960054321 ($machine/dev/ttyACM10); name one by"
tool rig init nrf9160dk --output "$scratch/never.yaml"
exits 2
holds "$scratch/stderr" "'nrf9160dk' fits 2 boards"
missing "$scratch/never.yaml"

it 'takes a board by its number, its place, its port or the folder of a virtual DK'
for word in 960054321 1-2.1 ttyACM10 "$machine/dev/ttyACM10" "$scratch/dks/two"; do
    tool devices "$word" --json
    exits 0
    is "$(json '[.ports[].imei] | join(" ")')" 352656100000002
done
tool devices --no-probe --json 352656100000002
exits 2
holds "$scratch/stderr" "no board here is '352656100000002'; there are: 000960012345 ($machine/dev/ttyACM0), 000960054321"

it 'asks through a shell'
vdk shell --misbehaviour mosh-shell --imei 352656100000005
tool devices "$scratch/dks/shell" --json
exits 0
is "$(json '.ports[0] | [.answers, .imei] | join(" ")')" 'shell 352656100000005'

it 'writes a rig file of what it found, with what a person must fill in'
tool rig init --output "$scratch/gaps.yaml"
exits 0
holds "$scratch/stderr" '6 values are left to fill in'
holds "$scratch/gaps.yaml" "# left out: 001051216197, $machine/dev/ttyACM9: busy: open"
tool run --rig "$scratch/gaps.yaml"
exits 2
holds "$scratch/stderr" "gaps.yaml:13:5: key 'registration_id' is missing its value"

it 'does not write over a file unasked'
tool rig init --output "$scratch/gaps.yaml"
exits 2
holds "$scratch/stderr" '--force writes over it'

it 'does not give two boards one registration ID'
tool rig init 960012345 960054321 --output "$scratch/never.yaml" --id-scope 0ne000AAAA1 --sec-tag 56 --registration-id r
exits 2
holds "$scratch/stderr" "--registration-id 'r' would be that of 2 devices"

it 'writes a rig file that run takes'
tool rig init 960012345 --output "$scratch/rig.yaml" --id-scope 0ne000AAAA1 --sec-tag 56 --registration-id 'nrf-{imei}'
exits 0
holds "$scratch/rig.yaml" 'registration_id: nrf-352656100000001'
run_cases --rig "$scratch/rig.yaml" no-such-row
exits 5

it 'makes a rig file of a hardware map as it is'
cat >"$scratch/map.yml" <<MAP
- connected: true
  id: 000683759358
  platform: nrf52840dk/nrf52840
  product: J-Link
  runner: nrfjprog
  serial: /dev/ttyACM7
- connected: true
  id: 000960054321
  platform: nrf9160dk/nrf9160/ns
  product: J-Link
  runner: jlink
  serial: $machine/dev/ttyACM10
  flash_timeout: 60
MAP
run_cases --rig "$scratch/map.yml"
exits 2
holds "$scratch/stderr" "map.yml:7:3: a hardware map does not say the registration_id of '000960054321'"
tool rig init --from "$scratch/map.yml" --output - --id-scope 0ne000AAAA1 --sec-tag 56 --registration-id r1
exits 0
cp "$scratch/stdout" "$scratch/from-map.yaml"
holds "$scratch/from-map.yaml" "reset: {preset: jlink, serial_number: '960054321', timeout_s: 180}"
lacks "$scratch/from-map.yaml" 000683759358
run_cases --rig "$scratch/from-map.yaml" no-such-row
exits 5

it 'does not take another board for the one of the rig file'
sed -e 's/imei: .*/imei: "352656100000009"/' -e 's/^simulator/    hooks: {reset: ["true"], chip_erase: ["true"]}\n&/' "$scratch/rig.yaml" >"$scratch/other.yaml"
run_cases --rig "$scratch/other.yaml" server/root-missing
exits 3
holds "$scratch/stdout" 'has IMEI 352656100000001, the rig file says 352656100000009'

it 'says so when there is nothing'
DPSBENCH_PORTS_ROOT=$scratch/nowhere tool devices
exits 5
holds "$scratch/stderr" 'no serial port found'

# ---- doctor

start_program sim "$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/state" --listen 127.0.0.1:0 --host localhost --id-scope 0ne000AAAA1
sed "s/^simulator.*/simulator: {ready: '${scratch//\//\\/}\/state'}/; s/^    sec_tag: .*/&\n    dps_host: localhost\n    hooks: {reset: ['true'], chip_erase: ['true']}/" \
    "$scratch/rig.yaml" >"$scratch/good.yaml"

# finding CHECK [SUBJECT]: its result and text.
finding() {
    # shellcheck disable=SC2016 # the variables are jq's
    json --arg check "$1" --arg subject "${2-}" '.findings[] | select(.check == $check and (.subject // "") == $subject) | .result + ": " + .text'
}

it 'finds nothing bad on a bench that is as it should be'
tool doctor --rig "$scratch/good.yaml" --json
exits 0
is "$(json '[.findings[] | select(.result != "ok") | .check] - ["clock"] | length')" 0
is "$(json '[.findings[].check] | unique | length')" 22
is "$(finding imei 000960012345)" 'ok: IMEI 352656100000001'
is "$(finding certificate localhost | cut -c1-3)" ok:

it 'says for each thing that is wrong what to do'
mkdir -p "$machine/proc/77" "$machine/run/udev/data"
echo ModemManager >"$machine/proc/77/comm"
vdk bad --misbehaviour no-sim --imei 352656100000004 --mfw mfw_nrf9160_1.2.0
cat >"$scratch/bad.yaml" <<RIG
format: 1
devices:
  - {id: bad, serial: '$(ready bad pty)', registration_id: a, id_scope: 0ne000OTHER, sec_tag: 1, imei: '352656100000009', dps_host: localhost}
  - {id: held, serial: '$machine/dev/ttyACM9', registration_id: b, id_scope: 0ne000OTHER, sec_tag: 1}
  - {id: gone, serial: '$scratch/nowhere', registration_id: c, id_scope: 0ne000OTHER, sec_tag: 1, hooks: {reset: [no-such-tool]}}
  - {id: mute, serial: '$machine/dev/ttyACM1', registration_id: d, id_scope: 0ne000OTHER, sec_tag: 1}
  - {id: virtual, virtual: {}, registration_id: e, id_scope: 0ne000OTHER, sec_tag: 1}
simulator: {ready: $scratch/state}
RIG
tool doctor --rig "$scratch/bad.yaml" --json
exits 3
is "$(finding modem-manager bad)" 'bad: ModemManager runs and may take this port: it sends AT commands of its own'
is "$(finding hooks bad)" 'bad: there is no hook that resets it: no row can start'
# shellcheck disable=SC2016 # the text has backquotes
is "$(finding hooks gone | head -n 1)" 'bad: hook `reset`: there is no program '"'no-such-tool' here"
is "$(finding imei bad)" 'bad: IMEI 352656100000004 answers, the rig file says 352656100000009'
is "$(finding firmware bad)" 'warning: mfw_nrf9160_1.2.0 has neither AT%KEYGEN nor hashes of credentials'
is "$(finding sim-card bad)" 'bad: the modem finds no SIM card'
is "$(finding registration bad)" 'bad: not registered: the SIM card fails'
is "$(finding reset-loop bad | cut -d: -f1)" not-checked
finding free held | grep -qF "held by sleep (pid $holder)" || fail "$(finding free held)"
is "$(finding port gone)" "bad: '$scratch/nowhere': No such file or directory"
[[ $(finding at mute) == 'bad: no answer to AT commands on '* ]] || fail "$(finding at mute)"
is "$(finding port virtual | cut -d: -f1)" not-checked
is "$(finding id-scope bad)" "bad: the rig says '0ne000OTHER', the simulator has '0ne000AAAA1'"
is "$(json '[.findings[] | select(.result == "bad" and .mend == null) | .check] | join(" ")')" ''

it 'believes udev about ModemManager'
printf 'E:ID_MM_DEVICE_IGNORE=1\n' >"$machine/run/udev/data/c$((0x$(stat -L -c %t "$(ready bad pty)"))):$((0x$(stat -L -c %T "$(ready bad pty)")))"
tool doctor --rig "$scratch/bad.yaml" --device bad --json
is "$(finding modem-manager bad)" 'ok: ModemManager runs, and udev tells it to leave this port alone'
rm -r "$machine/proc"

it 'hears of a reset loop when it may switch the modem on anew'
vdk looping --misbehaviour reset-loop
cat >"$scratch/looping.yaml" <<RIG
format: 1
devices: [{id: dk, serial: '$(ready looping pty)', registration_id: a, id_scope: 0ne000AAAA1, sec_tag: 1}]
RIG
tool doctor --rig "$scratch/looping.yaml" --restart-modem --json
exits 3
is "$(finding reset-loop dk)" 'bad: the modem restricts attaching: it was reset too often without AT+CFUN=0'

it 'knows a name that the certificate is not for, a closed port, and a name that leads to Azure'
tool doctor --sim "$scratch/state" --public 127.1 --json
exits 3
finding certificate 127.1 | grep -qF "is not for the name '127.1'" || fail "$(finding certificate 127.1)"
is "$(finding reach 127.1 | cut -d: -f1)" bad
tool doctor --sim "$scratch/state" --public localhost:1 --json
is "$(finding reach localhost)" 'bad: connect to 127.0.0.1:1: Connection refused'
tool doctor --sim "$scratch/state" --public global.azure-devices-provisioning.net --json
is "$(finding name global.azure-devices-provisioning.net | cut -d: -f1)" bad

it 'tries the folder of runs, also as root'
tool doctor --out /proc/nothing --json
exits 3
is "$(finding disk)" "bad: '/proc' cannot be written by this user"

it 'takes no two boards at one port'
sed "s|'$scratch/nowhere'|'$machine/dev/ttyACM1'|" "$scratch/bad.yaml" >"$scratch/same.yaml"
tool doctor --rig "$scratch/same.yaml"
exits 2
holds "$scratch/stderr" "same.yaml:6:"
holds "$scratch/stderr" "each connected device needs a port of its own: device 'gone'"

it 'says so when no simulator runs'
tool doctor --sim "$scratch/nowhere" --json
exits 3
finding simulator | grep -q '^bad: ' || fail "$(finding simulator)"
