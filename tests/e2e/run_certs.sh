#!/bin/bash
# dpsbench certs: a person gets the files of a recipe, with a tree; openssl says that they are what the tree says.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

cd "$scratch"
certs() {
    code=0
    "$dpsbench" certs "$@" >stdout 2>stderr || code=$?
}

it 'makes a built-in recipe, and prints issuer over subject, key type, validity and defect'
certs make device/expired-intermediate --registration-id nrf-1 --out pki
is "$code" 0
is "$(sed 's/20[0-9-]*T[0-9:]*Z/TIME/g' stdout)" "device/expired-intermediate
defect: the sub-CA expired a day ago

root        CN=Example Root CA,O=Example, p-256, CA, TIME to TIME
\`- sub-ca   CN=Example Sub CA,O=Example, p-256, CA, TIME to TIME, expired
   \`- leaf  CN=nrf-1,O=Example, p-256, no CA, TIME to TIME

pki/NAME.crt.pem and NAME.key.pem of each"
is "$(ls pki)" 'leaf.crt.pem
leaf.key.pem
root.crt.pem
root.key.pem
sub-ca.crt.pem
sub-ca.key.pem'

it 'keeps the keys to their owner'
is "$(stat -c %a pki/*.key.pem | sort -u)" 600

it 'made what it says'
openssl verify -no-CAfile -no-CApath -x509_strict -trusted pki/root.crt.pem -untrusted pki/sub-ca.crt.pem pki/leaf.crt.pem >verified 2>&1 || true
holds verified 'error 10 at 1 depth lookup: certificate has expired'
is "$(openssl x509 -in pki/leaf.crt.pem -noout -pubkey)" "$(openssl pkey -in pki/leaf.key.pem -pubout)"
is "$(openssl x509 -in pki/leaf.crt.pem -noout -enddate -dateopt iso_8601 | tr ' ' T | cut -d= -f2)" "$(sed -n 's/.*leaf .* to \(.*\)/\1/p' stdout)"

it 'overwrites nothing'
before=$(sha256sum pki/*)
certs make device/sub-ca --registration-id nrf-1 --out pki
is "$code" 2
holds stderr 'pki/root.key.pem: exists already'
is "$(sha256sum pki/*)" "$before"

it 'gives a server the names that it is told, and says what it sends'
certs make server/intermediate-missing --host sim.example.org --host 192.0.2.7 --out server --json
is "$code" 0
is "$(jq -c .server stdout)" '{"sends":["leaf"],"root":"root"}'
is "$(jq -r '.members[] | select(.name == "leaf") | .issuer' stdout)" intermediate
openssl x509 -in "$(jq -r '.members[] | select(.name == "leaf") | .certificate' stdout)" -noout -checkhost sim.example.org -checkip 192.0.2.7 >checked
is "$(grep -c 'does match certificate' checked)" 2

it 'makes a recipe of one'"'"'s own, and says where it is wrong'
cat >mine.yaml <<'YAML'
format: 1
members:
  only: {subject: {CN: mine}, issuer: self, key: p-256}
YAML
certs make mine.yaml --out mine
is "$code" 0
holds stdout 'only  CN=mine, p-256, no CA'
sed -i 's/p-256/p-255/' mine.yaml
certs make mine.yaml --out other
is "$code" 2
holds stderr "mine.yaml:3:50: 'p-255' is not a key type"
missing other

it 'asks for what is missing'
certs make device/sub-ca --out other
is "$code" 2
holds stderr '--registration-id ID is missing'
certs make device/sub-cb --out other
is "$code" 2
holds stderr "recipe 'device/sub-cb' is not built in; did you mean 'device/sub-ca'?; there are: "
certs make device/sub-ca --registration-id x
is "$code" 2
holds stderr '--out DIR is missing'
missing other

it 'lists what is built in'
certs list
is "$(wc -l <stdout)" "$(cd "$DPSBENCH_SOURCE/certs/recipes" && find . -name '*.yaml' | wc -l)"
certs list --json
is "$(jq -r '.recipes[] | select(.name == "server/expired") | .defect' stdout)" 'the leaf expired a day ago'
