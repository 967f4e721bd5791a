# shellcheck shell=bash
# sim_lib.sh - a simulator, devices, certificates by the openssl command line, and the control plane, for the scripts of tests/e2e
# shellcheck disable=SC2016,SC2034  # $dps and $rid are text; some variables are for the scripts that read this one
# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

sim_program=$DPSBENCH_BIN/dpsbench-sim
id_scope=0ne000AAAA1
start_limit_s=60

# ready MEMBER: of the simulator that was started last
ready() {
    jq -er ".$1" "$state/ready.json"
}

# port MEMBER: "127.0.0.1:4711" -> 4711
port() {
    local address
    address=$(ready "$1")
    printf '%s\n' "${address##*:}"
}

# start_sim DIR [OPTION]...: waits for the ready line; sets state, sim_pid, ready_line
start_sim() {
    state=$1
    shift
    local pipe="$scratch/ready.$RANDOM"
    mkfifo "$pipe"
    "$sim_program" --state "$state" --id-scope "$id_scope" --server-key p-256 "$@" >"$pipe" 2>>"$scratch/sim.log" &
    sim_pid=$!
    started+=("$sim_pid")
    exec {ready_fd}<"$pipe"
    rm -f "$pipe"
    read -r -t "$start_limit_s" ready_line <&"$ready_fd" || fail "no ready line: $(tail -n 20 "$scratch/sim.log")"
}

# end_sim [SIGNAL]: and its exit status
end_sim() {
    local code=0
    stop_program "$sim_pid" "${1:-TERM}" || code=$?
    exec {ready_fd}<&-
    return "$code"
}

# --- certificates, by the command line that people use ---

make_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$scratch/$1.key"
}

# make_root NAME CN
make_root() {
    make_key "$1"
    openssl req -x509 -new -key "$scratch/$1.key" -sha256 -days 30 -subj "/CN=$2" -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign -out "$scratch/$1.pem" 2>/dev/null
}

# sign NAME CN ISSUER [EXTENSION-LINE]...
sign() {
    local name=$1 cn=$2 issuer=$3
    shift 3
    make_key "$name"
    openssl req -new -key "$scratch/$name.key" -subj "/CN=$cn" -out "$scratch/$name.csr" 2>/dev/null
    printf '%s\n' "$@" >"$scratch/$name.ext"
    openssl x509 -req -in "$scratch/$name.csr" -CA "$scratch/$issuer.pem" -CAkey "$scratch/$issuer.key" -CAcreateserial -days 30 -sha256 \
        -extfile "$scratch/$name.ext" -out "$scratch/$name.pem" 2>/dev/null
}

make_self_signed() {
    make_key "$1"
    openssl req -x509 -new -key "$scratch/$1.key" -sha256 -days 30 -subj "/CN=$2" -out "$scratch/$1.pem" 2>/dev/null
}

# --- state files ---

# write_individual ID CERTIFICATE-NAME
write_individual() {
    mkdir -p "$state/enrollments"
    jq -n --arg id "$1" --rawfile pem "$scratch/$2.pem" \
        '{registrationId: $id, attestation: {type: "x509", x509: {clientCertificates: {primary: {certificate: $pem}}}}}' \
        >"$state/enrollments/$1.json"
}

# write_certificate NAME CERTIFICATE-NAME
write_certificate() {
    mkdir -p "$state/certificates"
    jq -n --arg name "$1" --rawfile pem "$scratch/$2.pem" '{name: $name, properties: {certificate: $pem}}' >"$state/certificates/$1.json"
}

# write_group NAME CA-NAME
write_group() {
    mkdir -p "$state/enrollmentGroups"
    jq -n --arg id "$1" --arg ca "$2" '{enrollmentGroupId: $id, attestation: {type: "x509", x509: {caReferences: {primary: $ca}}}}' \
        >"$state/enrollmentGroups/$1.json"
}

# --- devices ---

# device ID CERTIFICATE-NAME STEP...: tests/helpers/mqtt_device.c; device_user, device_client_id, device_port, device_root change what it says and where it goes
device() {
    local id=$1 certificate=$2
    shift 2
    "$DPSBENCH_TESTS/mqtt_device" --port "${device_port:-$(port dps)}" --root "${device_root:-$(ready root_ca)}" --cert "$scratch/$certificate.pem" \
        --key "$scratch/$certificate.key" --id "${device_client_id:-$id}" --user "${device_user:-$id_scope/registrations/$id/api-version=2019-03-31}" "$@"
}

subscribe=(sub '$dps/registrations/res/#' 1)
put='$dps/registrations/PUT/iotdps-register/?$rid=1'
get='$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operationId}'

# request ID CERTIFICATE-NAME TOPIC [BODY]: the reply, as "TOPIC BODY"
request() {
    device "$1" "$2" "${subscribe[@]}" pub "$3" "${4:-}" 1 recv disconnect >"$scratch/device.out" || fail "$(cat "$scratch/device.out")"
    sed -n 's/^MESSAGE //p' "$scratch/device.out"
}

register() {
    request "$1" "$2" "$put"
}

# poll ID CERTIFICATE-NAME OPERATION-ID
poll() {
    request "$1" "$2" "${get/\{operationId\}/$3}"
}

# body 'TOPIC BODY': the body
body() {
    printf '%s\n' "${1#* }"
}

# assign ID CERTIFICATE-NAME: the whole way on one connection; sets assigned to the last body
assign() {
    device "$1" "$2" "${subscribe[@]}" pub "$put" '' 1 recv pub "$get" '' 1 recv disconnect >"$scratch/device.out" || fail "$(cat "$scratch/device.out")"
    sed -n 's/^MESSAGE //p' "$scratch/device.out" >"$scratch/replies"
    grep -qF '$dps/registrations/res/202/?$rid=1&retry-after=3 ' "$scratch/replies" || fail "no 202: $(cat "$scratch/device.out")"
    grep -qF '$dps/registrations/res/200/?$rid=2 ' "$scratch/replies" || fail "no 200: $(cat "$scratch/device.out")"
    assigned=$(body "$(tail -n 1 "$scratch/replies")")
    is "$(jq -r .status <<<"$assigned")" assigned
}

# refused ID CERTIFICATE-NAME: CONNACK 5, seen by a client that is not ours
refused() {
    local id=$1 certificate=$2 code=0
    mosquitto_sub -h 127.0.0.1 -p "$(port dps)" --cafile "$(ready root_ca)" --cert "$scratch/$certificate.pem" --key "$scratch/$certificate.key" -V 311 -W 10 \
        -i "${device_client_id:-$id}" -u "${device_user:-$id_scope/registrations/$id/api-version=2019-03-31}" -t '$dps/registrations/res/#' -C 1 \
        >"$scratch/out" 2>&1 || code=$?
    is "$code" 5
    holds "$scratch/out" 'Connection Refused: not authorised'
}

# --- the control plane ---

# control METHOD [PARAMS]: the whole reply
control() {
    local params=${2:-'{}'} name="e2e-$RANDOM"
    mosquitto_rr -h 127.0.0.1 -p "$(port control)" --cafile "$(ready control_ca)" --cert "$(ready control_cert)" --key "$(ready control_key)" \
        -V 311 -q 1 -W 20 -i "$name" -e "dpsbench/v1/control/$name/reply" -t "dpsbench/v1/control/$name/request" \
        -m "$(jq -nc --arg method "$1" --argjson params "$params" '{v: 1, id: "7", method: $method, params: $params}')"
}

# result METHOD [PARAMS]: of a request that must succeed
result() {
    local reply
    reply=$(control "$@")
    is "$(jq -r .ok <<<"$reply") $reply" "true $reply"
    jq -c .result <<<"$reply"
}

# events FILTER: the events so far that a jq filter selects, one a line
events() {
    result sync >/dev/null
    jq -c "select($1)" "$state/events.jsonl"
}

# last_event FILTER EXPRESSION
last_event() {
    events "$1" | tail -n 1 | jq -r "$2"
}

# until_line FILE GLOB [FROM]: wait until the file holds, from line FROM on, a line that matches; 30 s without any new line are too long
until_line() {
    local line fd tail_pid is_found=''
    exec {fd}< <(exec tail -n "+${3:-1}" -F -- "$1" 2>/dev/null)
    tail_pid=$!
    # shellcheck disable=SC2053
    while [[ -z $is_found ]] && IFS= read -r -t 30 line <&"$fd"; do
        [[ $line == $2 ]] && is_found=yes
    done
    kill "$tail_pid"
    exec {fd}<&-
    [[ $is_found ]] || fail "no line of $1 is like $2: $(tail -n 5 -- "$1")"
}

# until_event KIND [GLOB]
until_event() {
    until_line "$state/events.jsonl" "*\"kind\":\"$1\"*${2:-}*"
}
