#!/bin/bash
# dpsbench calibrate: a board beside the virtual DK. The board is a virtual DK that was told to be another, so that everything that is found is known.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

# refuses TEXT WORD...: exit 2, nothing on stdout, the text on stderr.
refuses() {
    local text=$1 code=0
    shift
    "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
    is "$code" 2
    is "$(wc -c <"$scratch/stdout")" 0
    holds "$scratch/stderr" "$text"
}

# board PROFILE: a rig file with a virtual DK of that profile.
board() {
    cat >"$scratch/rig.yaml" <<RIG
format: 1
devices:
  - id: board
    registration_id: nrf-352656100000002
    id_scope: 0ne000BBBB2
    sec_tag: 57
    virtual: {personality: nordic-sample, mfw: mfw_nrf9160_1.3.5, hardware_profile: $1}
RIG
}

# calibrate DIR: standard output in DIR.txt
calibrate() {
    "$dpsbench" calibrate --rig "$scratch/rig.yaml" --out "$1" --time-scale "$DPSBENCH_TIME_SCALE" >"$1.txt" 2>"$1.err" ||
        fail "exit status $?: $(cat "$1.txt" "$1.err")"
}

finding() {
    jq -r ".[] | select(.id == \"$2\") | .$3" "$1/comparison.json"
}

it 'refuses wrong arguments, and a profile that is none, with its place'
refuses '--out DIR' "$dpsbench" calibrate
refuses 'takes no further words' "$dpsbench" calibrate thread --out "$scratch/x"
vdk() {
    "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --connect 127.0.0.1:1 --id-scope 0ne00000001 --registration-id dev-01 --sec-tag 42 \
        --hardware-profile "$@"
}
printf 'format: 1\ntls_errno: {expird: -111}\n' >"$scratch/bad.yaml"
refuses "bad.yaml:2:13: unknown key 'expird' in tls_errno; did you mean 'expired'?" vdk "$scratch/bad.yaml"
printf 'format: 1\ntls_errno: {expired: 111}\n' >"$scratch/bad.yaml"
refuses "bad.yaml:2:" vdk "$scratch/bad.yaml"
printf 'format: 2\n' >"$scratch/bad.yaml"
refuses "format '2'" vdk "$scratch/bad.yaml"
refuses "did you mean 'nrf9160'" vdk nrf9161

it 'finds what a board does otherwise than assumed'
cat >"$scratch/board.yaml" <<'PROFILE'
format: 1
times_ms: {start: 900, attach: 7000, at: 150, write: 1200}
tls_errno: {unknown-ca: -45, expired: -46, name-mismatch: -47}
client_hello: {suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0xC0FE]}
PROFILE
board "$scratch/board.yaml"
calibrate "$scratch/first"
for pair in unknown-ca:-45 expired:-46 name-mismatch:-47; do
    is "$(finding "$scratch/first" "tls-errno.${pair%%:*}" observed)" "${pair#*:}"
    is "$(finding "$scratch/first" "tls-errno.${pair%%:*}" assumed)" -111
    is "$(finding "$scratch/first" "tls-errno.${pair%%:*}" verdict)" refuted
done
for id in tls-errno.not-yet-valid tls-errno.alert hello.versions; do
    is "$(finding "$scratch/first" "$id" verdict)" confirmed
done
for id in time.start time.attach time.write hello.suites; do
    is "$(finding "$scratch/first" "$id" verdict)" refuted
done
holds "$scratch/first.txt" 'refuted       tls-errno.expired'
holds "$scratch/first.txt" "dpsbench-vdk --fidelity --hardware-profile $scratch/first/profile.yaml"
is "$(jq '[.[] | select(.verdict == "not-observed")] | length' "$scratch/first/comparison.json")" 0

it 'finds no line that only one of the two prints'
is "$(jq -r '[.[] | select(.id | startswith("lines.")) | .only_board[], .only_virtual[]] | join("; ")' "$scratch/first/comparison.json")" ''

it 'writes a profile by which the virtual DK is like that board'
holds "$scratch/first/profile.yaml" "firmware: 'mfw_nrf9160_1.3.5'"

it 'turns assumed into observed in the table of the virtual DK'
fidelity() {
    "$DPSBENCH_BIN/dpsbench-vdk" --fidelity "$@" >"$scratch/fidelity"
}
fidelity
is "$(grep -c ' assumed ' "$scratch/fidelity")" "$(wc -l <"$scratch/fidelity")"
fidelity --hardware-profile "$scratch/first/profile.yaml"
for id in tls-errno.expired tls-errno.unknown-ca time.attach time.at time.write hello.versions hello.suites; do
    grep -qE "^$id +observed .*nRF9160-SICA, mfw_nrf9160_1.3.5, $(date -u +%Y)-" "$scratch/fidelity" || fail "$id: $(cat "$scratch/fidelity")"
done
grep -qE '^tls-errno.broken-off +assumed ' "$scratch/fidelity" || fail "broken-off: $(cat "$scratch/fidelity")"

it 'is the same board with its profile'
board "$scratch/first/profile.yaml"
calibrate "$scratch/second"
grep -v '^  \(start\|attach\|at\|write\): ' "$scratch/first/profile.yaml" >"$scratch/one"
grep -v '^  \(start\|attach\|at\|write\): ' "$scratch/second/profile.yaml" >"$scratch/two"
diff "$scratch/one" "$scratch/two" || fail 'the second profile is another'
