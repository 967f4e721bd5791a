#!/bin/bash
# The simulator, and the virtual DK's folder, when the world around them breaks: broken files, a full disk, a read-only folder, no Mosquitto, a crowd.
# shellcheck disable=SC2016  # $dps and $rid are text
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

# A peer that the simulator has closed is no reason to end.
trap '' PIPE

make_self_signed dev-good dev-good

# ends CODE COMMAND...: within a minute, so; its words are in $scratch/err.
ends() {
    local wanted=$1 code=0
    shift
    "$@" </dev/null >"$scratch/out" 2>"$scratch/err" || code=$?
    [[ $code == "$wanted" ]] || fail "expected exit status $wanted, got $code: $(cat "$scratch/err")"
}

# await_log TEXT: until the simulator has said it.
await_log() {
    local deadline=$((SECONDS + 30))
    until grep -qF -e "$1" "$scratch/sim.log"; do
        ((SECONDS < deadline)) || fail "'$1' is not in the log: $(tail -n 20 "$scratch/sim.log")"
        read -rt 0.05 <> <(:) || true
    done
}

it 'names the member with a broken PEM, at the start and when it rereads, and serves the rest'
state=$scratch/pem
write_individual dev-good dev-good
jq '.registrationId = "dev-bad" | .attestation.x509.clientCertificates.primary.certificate |= sub("MII"; "M!!")' "$state/enrollments/dev-good.json" \
    >"$state/enrollments/dev-bad.json"
start_sim "$state"
holds "$scratch/sim.log" 'enrollments/dev-bad.json: attestation.x509.clientCertificates.primary.certificate'
assign dev-good dev-good
jq '.attestation.x509.clientCertificates.primary.certificate |= .[0:300]' "$state/enrollments/dev-good.json" >"$scratch/cut.json"
cp "$scratch/cut.json" "$state/enrollments/dev-good.json"
kill -HUP "$sim_pid"
await_log 'enrollments/dev-good.json: attestation.x509.clientCertificates.primary.certificate'
assign dev-good dev-good
end_sim TERM

it 'lets a good device in beside 500 peers that say nothing and 500 that say it slowly, and closes them in time'
if [[ $(ulimit -Hn) == unlimited || $(ulimit -Hn) -ge 4096 ]]; then
    ulimit -Sn 4096
    state=$scratch/crowd
    mkdir -p "$state"
    write_individual dev-good dev-good
    start_sim "$state"
    crowd=()
    for ((i = 0; i < 1000; i++)); do
        exec {peer}<>"/dev/tcp/127.0.0.1/$(port dps)"
        crowd+=("$peer")
    done
    # The beginning of a ClientHello, then a byte now and then.
    for ((i = 0; i < 500; i++)); do
        printf '\x16\x03\x01\x02\x00\x01' >&"${crowd[i]}"
    done
    assign dev-good dev-good
    for ((i = 0; i < 500; i++)); do
        printf '\x00' >&"${crowd[i]}" || true
    done 2>/dev/null
    assign dev-good dev-good
    deadline=$((SECONDS + 60))
    until [[ $(grep -cF '"how":"timeout"' "$state/events.jsonl") -ge 1000 ]]; do
        ((SECONDS < deadline)) || fail "only $(grep -cF '"how":"timeout"' "$state/events.jsonl") of 1000 were closed"
        read -rt 0.2 <> <(:) || true
    done
    for peer in "${crowd[@]}"; do
        exec {peer}>&-
    done
    assign dev-good dev-good
    end_sim TERM
else
    printf '  skipped: this shell may open %s files, and the crowd needs 4096\n' "$(ulimit -Hn)"
fi

it 'says so when the limit on open files is too low for all the devices that it would take, and takes those that fit'
(
    ulimit -Sn 200
    ulimit -Hn 200
    start_sim "$scratch/few"
    holds "$scratch/sim.log" 'this process may open 200 files, enough for 20 devices at a time'
    end_sim TERM
)

# What needs mounts of its own runs in a mount namespace, so that nothing stays behind however this ends.
if [[ $(id -u) != 0 ]] || ! unshare -m true 2>/dev/null; then
    echo '  skipped: mounts of our own need root'
    exit 0
fi

# apart MOUNT COMMAND...: the shell text MOUNT, then the command, in a mount namespace, for a minute at most.
apart() {
    local mount=$1
    shift
    timeout 60 unshare -m bash -c "set -e; mount --make-rprivate /; $mount; exec \"\$@\"" apart "$@"
}

folder=$scratch/folder
mkdir "$folder"
full="mount -t tmpfs -o size=64k,mode=755 tmpfs '$folder'; head -c 1m /dev/zero >'$folder/filler' 2>/dev/null || true"
read_only="mount --bind '$folder' '$folder'; mount -o remount,ro,bind '$folder'"
vdk=("$DPSBENCH_BIN/dpsbench-vdk" --connect 127.0.0.1:1 --id-scope 0ne1 --registration-id r --sec-tag 1)

it 'ends with 3 and names the folder when the disk of the state folder is full'
ends 3 apart "$full" "$sim_program" --state "$folder" --server-key p-256
holds "$scratch/err" "$folder"
holds "$scratch/err" 'No space left on device'
is "$(wc -l <"$scratch/out")" 0

it 'does the same for the folder of the virtual DK'
ends 3 apart "$full" "${vdk[@]}" --state "$folder"
holds "$scratch/err" "$folder"
holds "$scratch/err" 'No space left on device'

it 'ends with 3 and names the folder when it is read-only'
ends 3 apart "$read_only" "$sim_program" --state "$folder" --server-key p-256
holds "$scratch/err" "$folder"
holds "$scratch/err" 'Read-only file system'
ends 3 apart "$read_only" "${vdk[@]}" --state "$folder"
holds "$scratch/err" "$folder"
holds "$scratch/err" 'Read-only file system'

it 'goes on when the disk fills up under it, and refuses what it cannot keep'
start_crowded() {
    state=$folder
    mkfifo "$scratch/ready.full"
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m bash -c 'set -e; mount --make-rprivate /; mount -t tmpfs -o size=1m,mode=755 tmpfs "$0"; mkdir "$0/enrollments"
        cp "$1" "$0/enrollments/"; shift; exec "$@"' "$folder" "$scratch/pem/enrollments/dev-ok.json" \
        "$sim_program" --state "$folder" --id-scope "$id_scope" --server-key p-256 >"$scratch/ready.full" 2>"$scratch/sim.log" &
    sim_pid=$!
    started+=("$sim_pid")
    exec {ready_fd}<"$scratch/ready.full"
    read -r -t "$start_limit_s" _ <&"$ready_fd" || fail "no ready line: $(cat "$scratch/sim.log")"
}
state=$scratch/pem
rm -f "$state"/enrollments/*
write_individual dev-good dev-good
mv "$state/enrollments/dev-good.json" "$state/enrollments/dev-ok.json"
start_crowded
# What the simulator sees of its folder stands under its root.
state=/proc/$sim_pid/root$folder
ready() {
    local value
    value=$(jq -er ".$1" "$state/ready.json")
    if [[ $value == "$folder"/* ]]; then value=$state${value#"$folder"}; fi
    printf '%s\n' "$value"
}
head -c 2m /dev/zero >"$state/filler" 2>/dev/null || true
for _ in 1 2 3; do
    grep -qF '$dps/registrations/res/500/?$rid=1 {"errorCode":500000,' <<<"$(register dev-good dev-good)" || fail "no 500: $(cat "$scratch/device.out")"
done
is "$(grep -c 'the disk is full; make room; devices are answered 500' "$scratch/sim.log")" 1
control certificate.put "$(jq -n --rawfile pem "$scratch/dev-good.pem" '{certificate: {name: "ca", properties: {certificate: $pem}}}')" >"$scratch/reply"
is "$(jq -r .ok "$scratch/reply")" false
holds "$scratch/reply" 'No space left on device'
rm "$state/filler"
control certificate.put "$(jq -n --rawfile pem "$scratch/dev-good.pem" '{certificate: {name: "ca", properties: {certificate: $pem}}}')" >"$scratch/reply"
is "$(jq -r .ok "$scratch/reply")" true
assign dev-good dev-good
is "$(grep -c 'what devices did is written again' "$scratch/sim.log")" 1
end_sim TERM

it 'ends with 3 and says what to install when Mosquitto is missing'
hide=''
for binary in /usr/sbin/mosquitto /usr/local/sbin/mosquitto "$(command -v mosquitto || true)"; do
    [[ ! -x $binary ]] || hide+="mount --bind '$scratch/nothing' '$binary'; "
done
: >"$scratch/nothing"
chmod 644 "$scratch/nothing"
ends 3 apart "${hide}true" "$sim_program" --state "$scratch/no-broker" --server-key p-256
holds "$scratch/err" mosquitto
holds "$scratch/err" 'install'
missing "$scratch/no-broker/ready.json"
