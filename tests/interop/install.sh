#!/bin/bash
# install.sh DIR - the clients of package.json in DIR/node_modules: once, and again when the lock file has changed. The fixture of all tests of this
# folder. Where they cannot be had it says which ones are missing and is skipped; in CI (CI in the environment) that is a failure.
set -euo pipefail

dir=$1
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

give_up() {
    printf 'NOT TESTED: %s\nwithout them: %s\n' "$1" "$(sed -n '/"dependencies"/,/}/s/^ *"\([^"]*\)": "\([^"]*\)",\{0,1\}$/\1 \2/p' "$here/package.json" | paste -sd, | sed 's/,/, /g')"
    [[ -z ${CI:-} ]] || exit 1
    exit 77
}

command -v node >/dev/null || give_up 'there is no node (apt-get install nodejs npm)'
command -v npm >/dev/null || give_up 'there is no npm (apt-get install npm)'
mkdir -p -- "$dir"
wanted=$(cat -- "$here/package.json" "$here/package-lock.json" | cksum)
if [[ -f $dir/installed && $(<"$dir/installed") == "$wanted" ]]; then
    exit 0
fi
cp -- "$here/package.json" "$here/package-lock.json" "$dir/"
# No script of a package runs here.
(cd -- "$dir" && timeout 240 npm ci --ignore-scripts --no-audit --no-fund) >"$dir/npm.log" 2>&1 || give_up "npm ci failed: $(tail -n 5 -- "$dir/npm.log")"
printf '%s' "$wanted" >"$dir/installed"
