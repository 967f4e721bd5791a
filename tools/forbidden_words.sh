#!/bin/bash
# forbidden_words.sh FILE... - text that must not be in this repository: places of somebody's machine, secrets, leftovers.
# A pattern holds a bracket so that it does not match itself.
set -euo pipefail

patterns=(
    '(^|[^A-Za-z0-9_.$}])/(wor[k]|roo[t]|hom[e])/'
    '-----BEGIN (RSA |EC |ENCRYPTED )?PRIVATE KE[Y]-----[^"\\<]*$'
    '\b(TOD[O]|FIXM[E]|XX[X]:)'
    '(pyp[i]\.org|registry\.npmj[s]|crate[s]\.io|proxy\.golan[g]|deb\.debia[n]\.org|pythonhoste[d])'
    'SharedAccessKe[y]=[A-Za-z0-9+/]'
)

found=0
for pattern in "${patterns[@]}"; do
    if grep -nHIE -e "$pattern" -- "$@"; then
        found=1
    fi
done
exit "$found"
