#!/bin/bash
# A switch of the virtual DK that nobody can read about, or that no test holds, is none: every misbehaviour and hardware profile of `dpsbench-vdk --help` has
# its row in docs/virtual-dk.md and in misbehaviours.txt, and neither has one for a switch that there is not.
set -euo pipefail

# shellcheck source=tests/e2e/lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/lib.sh"

# of_help HEADING: the names below it, one a line, sorted.
of_help() {
    "$DPSBENCH_BIN/dpsbench-vdk" --help | sed -n "/^$1:/,/^\$/{s/^  \([a-z][a-z0-9-]*\)  .*/\1/p}" | sort
}

# of_docs HEADING: the names in the first column of the table below it.
of_docs() {
    sed -n "/^## $1\$/,/^## /{s/^| \`\([a-z][a-z0-9-]*\)\`.*/\1/p}" "$DPSBENCH_SOURCE/docs/virtual-dk.md" | sort
}

of_table() {
    grep -v '^#' "$DPSBENCH_SOURCE/tests/e2e/misbehaviours.txt" | sed 's/ *|.*//' | tr '+' '\n' | grep -v '^mfw_' | sort -u
}

it 'has a row in the documentation for each misbehaviour, and no other'
[[ $(of_help Misbehaviours | wc -l) -ge 7 ]] || fail "--help names only: $(of_help Misbehaviours)"
is "$(of_docs Misbehaviours)" "$(of_help Misbehaviours)"

it 'has a row in the documentation for each hardware profile, and no other'
is "$(of_docs Time)" "$(of_help 'Hardware profiles')"

it 'has a test of the verdict for each, and no other'
is "$(of_table)" "$({ of_help Misbehaviours; of_help 'Hardware profiles'; } | sort)"
