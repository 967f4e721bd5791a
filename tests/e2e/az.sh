#!/bin/bash
# dpsbench az iot dps enrollment ..., enrollment-group ...: on the folder and through a running simulator; then devices register against what was made.
set -euo pipefail

# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

az() {
    "$DPSBENCH_BIN/dpsbench" az iot dps "$@" 2>"$scratch/stderr"
}

# refuses TEXT ARGUMENT...: exit code 2, and the text on stderr.
refuses() {
    local text=$1 code=0
    shift
    az "$@" >"$scratch/out" || code=$?
    is "$code" 2
    holds "$scratch/stderr" "$text"
}

# thumbprints FILE PATH: of the pair under a path, "primary secondary"
thumbprints() {
    jq -r "$2 | [.primary.info.sha1Thumbprint, .secondary.info.sha1Thumbprint] | map(. // \"-\") | join(\" \")" "$1"
}

sha1() {
    openssl x509 -in "$scratch/$1.pem" -noout -fingerprint -sha1 | cut -d= -f2 | tr -d :
}

cd "$scratch"
make_root root 'az root'
for number in 2 3 4 5; do
    make_root "root-$number" "az root $number"
done
make_self_signed one dev-01
make_self_signed two dev-01
sign dev-02 dev-02 root

# $1: what is checked now
enrollments() {
    it "creates an individual enrollment, with every member of the model ($1)"
    az enrollment create -g rg --dps-name dps --enrollment-id dev-01 --attestation-type x509 --certificate-path one.pem --device-id other-01 \
        --iot-hubs h1.azure-devices.net h2.azure-devices.net --allocation-policy hashed --initial-twin-tags '{"room": 1}' >made.json
    is "$(thumbprints made.json .attestation.x509.clientCertificates)" "$(sha1 one) -"
    is "$(jq -c '[.registrationId, .deviceId, .allocationPolicy, .iotHubs, .provisioningStatus, .initialTwin.tags.room, .reprovisionPolicy,
        .capabilities, .attestation.type, .attestation.x509.signingCertificates]' made.json)" '["dev-01","other-01","hashed",["h1.azure-devices.net","h2.azure-devices.net"],"enabled",1,{"migrateDeviceData":true,"updateHubAssignment":true},{"iotEdge":false},"x509",null]'
    is "$(jq -c 'keys == (keys | sort)' made.json)" true
    refuses 'exists already (Azure: 409)' enrollment create --eid dev-01 --at x509 --cp one.pem

    it "changes only what is named, and takes any etag when none is given ($1)"
    az enrollment update --eid DEV-01 --scp two.pem --rp never >changed.json
    is "$(thumbprints changed.json .attestation.x509.clientCertificates)" "$(sha1 one) $(sha1 two)"
    is "$(jq -c '[.deviceId, .reprovisionPolicy.updateHubAssignment, .provisioningStatus]' changed.json)" '["other-01",false,"enabled"]'
    refuses '412 Precondition Failed' enrollment update --eid dev-01 --ps disabled --etag "$(jq -r .etag made.json)"
    is "$(az enrollment update --eid dev-01 --ps disabled --rc --etag "$(jq -r .etag changed.json)" |
        jq -c '[.provisioningStatus, .attestation.x509.clientCertificates.primary]')" '["disabled",null]'
    refuses 'at least one certificate' enrollment update --eid dev-01 --rsc true
    refuses 'Cannot update primary or secondary key while enrollment is using x509' enrollment update --eid dev-01 --pk c2VjcmV0

    it "lists and deletes ($1)"
    is "$(az enrollment list | jq -c '[.[].registrationId]')" '["dev-01"]'
    is "$(az enrollment list -o tsv | wc -l)" 1
    az enrollment list -o table | grep -qE '^-+  ' || fail 'no table'
    refuses '412' enrollment delete --eid dev-01 --etag "$(jq -r .etag made.json)"
    az enrollment delete --eid dev-01
    refuses "'dev-01' does not exist" enrollment show --eid dev-01
}

groups() {
    it "creates groups by file, by name, and with symmetric keys ($1)"
    az certificate create -n root-ca -p root.pem --verified >/dev/null
    is "$(az enrollment-group create --eid by-file --cp root-2.pem --ih hub.azure-devices.net --ap static |
        jq -c '[.allocationPolicy, .iotHubs, .attestation.x509.caReferences]')" '["static",["hub.azure-devices.net"],null]'
    is "$(az enrollment-group create --eid by-name --ca-name root-ca | jq -c .attestation.x509.caReferences)" '{"primary":"root-ca","secondary":null}'
    is "$(wc -c <"$scratch/stderr")" 0
    az certificate create -n second-ca -p root-2.pem --verified >/dev/null
    refuses "stands in enrollment group 'by-name' already" enrollment-group create --eid twin --cp root.pem
    refuses "stands in enrollment group 'by-file' already" enrollment-group create --eid twin --ca-name second-ca
    az enrollment-group create --eid slip --ca-name root-cb >/dev/null
    holds "$scratch/stderr" "certificate 'root-cb' does not exist"
    az certificate create -n root-new -p root-3.pem >/dev/null
    az enrollment-group update --eid slip --ca-name root-new >/dev/null
    holds "$scratch/stderr" "certificate 'root-new' is not verified"
    az enrollment-group create --eid by-key >key.json
    is "$(jq -c '[.attestation.type, .attestation.symmetricKey.primaryKey]' key.json)" '["symmetricKey",null]'
    is "$(az enrollment-group show --eid by-key --show-keys | jq -r '.attestation.symmetricKey.primaryKey | @base64d | utf8bytelength > 40')" true
    refuses 'Cannot update certificate while enrollment is using symmetric key' enrollment-group update --eid by-key --cp root.pem

    it "changes a group from a CA's file to its name ($1)"
    az enrollment-group update --eid by-file --cn second-ca >changed.json
    is "$(jq -c '[.attestation.x509.caReferences.primary, .attestation.x509.signingCertificates]' changed.json)" '["second-ca",null]'

    it "knows the old option for a hub, and a single hub without a policy ($1)"
    is "$(az enrollment-group create --eid old --cp root-4.pem --iot-hub-host-name old.azure-devices.net | jq -c '[.allocationPolicy, .iotHubs]')" \
        '["static",["old.azure-devices.net"]]'
    holds "$scratch/stderr" deprecated
    is "$(az enrollment-group update --eid old --hn new.azure-devices.net | jq -c '.iotHubs')" '["new.azure-devices.net"]'
    is "$(az enrollment-group create --eid single --cp root-5.pem --ih h.azure-devices.net | jq -c .allocationPolicy)" '"static"'
    holds "$scratch/stderr" 'Please provide allocation policy'
    for id in slip old single by-key by-file; do
        az enrollment-group delete --enrollment-id "$id"
    done
    is "$(az enrollment-group list | jq -c '[.[].enrollmentGroupId]')" '["by-name"]'
}

mkdir folder
export DPSBENCH_STATE=$scratch/folder
enrollments 'no simulator'
groups 'no simulator'

it 'works on the running simulator in the same way'
start_sim "$scratch/served"
export DPSBENCH_STATE=$state
enrollments 'simulator runs'
groups 'simulator runs'

it 'lets a device register against what was made, and shows what has registered'
az enrollment create --eid dev-01 --at x509 --cp one.pem --ih h1.azure-devices.net --ap static >/dev/null
is "$(az enrollment show --eid dev-01 | jq -c '.registrationState | [.registrationId, .status]')" '["dev-01","unassigned"]'
refuses 'dev-01' enrollment registration show --eid dev-01
assign dev-01 one
is "$(az enrollment show --eid dev-01 | jq -c '.registrationState | [.status, .assignedHub]')" '["assigned","h1.azure-devices.net"]'
is "$(az enrollment registration show --eid dev-01 | jq -r '.assignedHub')" h1.azure-devices.net
refuses '412 Precondition Failed' enrollment registration delete --eid dev-01 --etag stale
az enrollment registration delete --eid dev-01
refuses 'dev-01' enrollment registration show --eid dev-01
assign dev-01 one
assign dev-02 dev-02
is "$(az enrollment-group registration show --registration-id dev-02 | jq -r '.registrationId')" dev-02
is "$(az enrollment-group registration list --enrollment-id by-name | jq -c '[.[].registrationId]')" '["dev-02"]'
refuses "'by-nme' does not exist" enrollment-group registration list --eid by-nme
az enrollment-group registration delete --rid dev-02
is "$(az enrollment-group registration list --group-id by-name)" '[]'
end_sim TERM

it 'what it printed drops into another folder'
mkdir -p again/enrollments again/enrollmentGroups
DPSBENCH_STATE=$scratch/served az enrollment show --eid dev-01 >again/enrollments/dev-01.json
DPSBENCH_STATE=$scratch/served az enrollment-group show --eid by-name >again/enrollmentGroups/by-name.json
is "$(az enrollment list --state again | jq -c '[.[].attestation.x509.clientCertificates.primary.info.sha1Thumbprint]')" "[\"$(sha1 one)\"]"
is "$(wc -c <"$scratch/stderr")" 0
