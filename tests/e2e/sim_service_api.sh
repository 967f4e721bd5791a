#!/bin/bash
# The service API with curl, by the functions of docs/service-api.md: an enrollment made over HTTPS admits a device; what is broken is answered and told.
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

cd "$scratch"
make_self_signed dev-01 dev-01
awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > ("block." n) }' "$DPSBENCH_SOURCE/docs/service-api.md"
# shellcheck disable=SC1091
. ./block.1

# status METHOD PATH [CURL-OPTION]...: of the answer; its body goes to the file `answer`
status() {
    dps "$@" -o answer -w '%{http_code}'
}

it 'serves loopback alone, and its keys are for their owner alone'
start_sim "$scratch/sim"
# shellcheck disable=SC2034 # the page's functions read it
DIR=$state
is "$(ready service | cut -d: -f1)" 127.0.0.1
is "$(stat -c %a "$(ready service_policies)")" 600
is "$(jq -r '.[].keyName' "$(ready service_policies)")" provisioningserviceowner

it 'does what its page says, in the order in which it says it'
# shellcheck disable=SC1091
. ./block.2 >blocks
is "$(grep -o '"registrationId":"dev-01"' blocks | wc -l)" 3
is "$(status GET /enrollments/dev-01)" 404
is "$(jq -r .errorCode answer)" 404201

it 'admits a device by an enrollment that came over HTTPS'
is "$(status PUT /enrollments/dev-01 -d @dev-01.json)" 200
is "$(jq -r .attestation.x509.clientCertificates.primary.info.subjectName answer)" CN=dev-01
assign dev-01 dev-01
is "$(status GET /registrations/dev-01)" 200
is "$(jq -r .status answer)" assigned
is "$(status GET /enrollments/dev-01)" 200
is "$(jq -r .registrationState.status answer)" assigned

it 'is one service with the control plane: what one changes the other shows, and its etags count'
etag=$(jq -r .etag answer)
is "$(result enrollment.get '{"registrationId": "dev-01"}' | jq -r .etag)" "$etag"
result enrollment.delete '{"registrationId": "dev-01"}' >deleted
is "$(status DELETE /enrollments/dev-01 -H "If-Match: $etag")" 404
is "$(events '.kind == "state.changed"' | jq -r .data.action | sort | uniq -c | tr -s ' ' | paste -sd,)" ' 2 delete, 2 put'

it 'refuses a wrong token, tells why in the event, and shows no key anywhere'
code=$(curl -sS --cacert "$(ready root_ca)" -o answer -w '%{http_code}' -H 'Authorization: SharedAccessSignature sr=localhost&sig=AAAA&skn=provisioningserviceowner&se=4000000000' \
    --connect-to "localhost:443:$(ready service)" 'https://localhost/enrollments/dev-01?api-version=2021-10-01')
is "$code" 401
is "$(jq -r '"\(.errorCode) \(.message)"' answer)" '401000 Unauthorized'
[[ $(last_event '.kind == "http.request"' .data.reason) == *sig* ]] || fail 'the event does not name the field'
key=$(jq -r '.[0].primaryKey' "$(ready service_policies)")
grep -rqF -e "$key" "$state/events.jsonl" "$scratch/sim.log" "$state/ready.json" && fail 'a key stands in the open'

it 'answers what is smuggled, and serves the next client'
printf 'POST /enrollments/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n' |
    timeout 60 openssl s_client -quiet -connect "$(ready service)" -CAfile "$(ready root_ca)" -verify_return_error >smuggled 2>/dev/null || true
is "$(grep -c '^HTTP/1.1 ' smuggled)" 1
holds smuggled 'HTTP/1.1 400 '
holds smuggled '"errorCode":400000,'
is "$(last_event '.kind == "http.refused"' .data.status)" 400
is "$(status POST /enrollments/query -d '{"query": "*"}')" 200

it 'keeps its keys over a restart, and ends with 3 when its port is taken'
end_sim TERM
start_sim "$scratch/sim"
is "$(status GET /registrations/dev-01)" 200
is "$(jq -r '.[0].primaryKey' "$(ready service_policies)")" "$key"
code=0
timeout 60 "$sim_program" --state "$scratch/second" --server-key p-256 --service "$(ready service)" >out 2>err || code=$?
is "$code" 3
holds err "$(ready service | cut -d: -f2)"
code=0
timeout 60 "$sim_program" --state "$scratch/second" --service nowhere >out 2>err || code=$?
is "$code" 2
holds err '--service'
end_sim TERM
