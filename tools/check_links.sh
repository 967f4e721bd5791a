#!/bin/bash
# check_links.sh ROOT FILE.md...: each relative link of a page leads to a file, each rule id in the README's table is a rule of the code.
set -euo pipefail

root=$1 found=0
shift
for page in "$@"; do
    while IFS= read -r target; do
        target=${target%%#*}
        [[ -z $target || $target == *://* || $target == mailto:* || -e ${page%/*}/$target ]] || {
            printf '%s: links to %s, which does not exist\n' "$page" "$target"
            found=1
        }
    done < <(grep -oE '\]\([^) ]+\)' -- "$page" | sed -E 's/^\]\(|\)$//g')
done
# shellcheck disable=SC2016 # backticks of Markdown
while IFS= read -r rule; do
    grep -qF "\"$rule\"" "$root"/certs/attestation_rules.h "$root"/broker_sim/dps/dps.h || {
        printf 'README.md: names the rule %s, which does not exist\n' "$rule"
        found=1
    }
done < <(grep -E '^\| .* \| `[a-z-]+\.[a-z-]+`' "$root/README.md" | cut -d '|' -f 3 | grep -oE '[a-z-]+\.[a-z-]+')
exit "$found"
