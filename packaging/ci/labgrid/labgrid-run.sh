#!/bin/sh
# labgrid-run.sh PLACE ENV RIG [ARGUMENT]... - acquire PLACE, run the cases on its board, release it; ends with the exit code of `dpsbench run`
set -eu

here=$(dirname -- "$0")
place=$1 env=$2 template=$3
shift 3
rig=$(mktemp --suffix=.yaml)
trap 'rm -f -- "$rig"; labgrid-client -p "$place" release || true' EXIT
trap 'exit 130' INT TERM

labgrid-client -p "$place" acquire
"$here/labgrid-rig" "$env" "$template" >"$rig"
code=0
dpsbench run --rig "$rig" "$@" || code=$?
exit "$code"
