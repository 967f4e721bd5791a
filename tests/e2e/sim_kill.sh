#!/bin/bash
# sim_kill.sh ROUNDS [SEED] - kill -9 at a random instant while enrollments, registrations and twins change: after each restart everything that was
# acknowledged is there, with its etag, and nothing is broken.
# shellcheck disable=SC2016,SC2034  # $dps, $iothub and $rid are text; the page's functions read DIR
set -euo pipefail
# shellcheck source=tests/e2e/sim_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/sim_lib.sh"

rounds=$1 seed=${2:-$((RANDOM + 1))}
RANDOM=$seed
printf 'seed %s\n' "$seed"
hub=kill.azure-devices.net
cd "$scratch"
for device in dev-0 dev-1 twin-0; do
    make_self_signed "$device" "$device"
done
awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > ("block." n) }' "$DPSBENCH_SOURCE/docs/service-api.md"
# shellcheck disable=SC1091
. ./block.1
# One token for all: a shell of openssl and jq for each request would be most of the test.
token=''
eval "$(declare -f sas | sed '1s/sas/new_token/')"
sas() { printf '%s' "$token"; }

# What the journals hold: "+ ID ETAG" a put that was answered 200, "? ID" a delete that was sent, "- ID" one that was answered 204.
enroll_for_ever() {
    local id etag number
    for ((number = 0; ; number++)); do
        id=e-$1-$number
        etag=$(dps PUT "/enrollments/$id" -f -d '{"attestation":{"type":"symmetricKey"}}' 2>/dev/null | jq -er .etag) || return 0
        printf '+ %s %s\n' "$id" "$etag" >>enrolled
        if ((number % 3 == 0)); then
            printf '? %s\n' "$id" >>enrolled
            dps DELETE "/enrollments/$id" -f >/dev/null 2>&1 || return 0
            printf -- '- %s\n' "$id" >>enrolled
        fi
    done
}

# "ID UPDATED": a registration that the device was told of.
register_for_ever() {
    local updated
    while device "$1" "$1" "${subscribe[@]}" pub "$put" '' 1 recv pub "$get" '' 1 recv disconnect >"out.$1" 2>&1; do
        updated=$(sed -n 's|^MESSAGE $dps/registrations/res/200/[^ ]* ||p' "out.$1" | jq -er .registrationState.lastUpdatedDateTimeUtc) || return 0
        printf '%s %s\n' "$1" "$updated" >>registered
    done
}

# reported N: patch the twin, and print the version that the hub answers
reported() {
    device_user="$hub/twin-0/?api-version=2021-04-12" device twin-0 twin-0 sub '$iothub/twin/res/#' 0 \
        pub '$iothub/twin/PATCH/properties/reported/?$rid=7' "{\"n\":$1}" 0 recv disconnect 2>&1 | sed -n 's|^MESSAGE $iothub/twin/res/204/.*version=\([0-9]*\).*|\1|p'
}

# "N VERSION": a twin that the device was told of.
patch_for_ever() {
    local number version
    for ((number = $1 * 100000; ; number++)); do
        version=$(reported "$number")
        [[ -n $version ]] || return 0
        printf '%s %s\n' "$number" "$version" >>patched
    done
}

# work FUNCTION ARGUMENT: in the background, until the simulator is gone; that its last command fails then is no failure of ours
work() {
    (
        trap - ERR
        set +e
        "$@"
    ) 2>/dev/null &
    workers+=($!)
}

start() {
    start_sim "$scratch/sim"
    DIR=$state
    token=$(new_token)
}

check_enrollments() {
    local id etag
    dps POST /enrollments/query -H 'x-ms-max-item-count: 1000' -d '{"query":"*"}' | jq -r '.[] | "\(.registrationId) \(.etag)"' | sort >present
    # The last line of an id decides; a delete without an answer may have come to pass or not.
    awk '{ state[$2] = $1; etag[$2] = $3 } END { for (id in state) print state[id], id, etag[id] }' enrolled >expected
    while read -r word id etag; do
        case $word in
        +) grep -qxF -e "$id $etag" present || fail "enrollment $id with etag $etag was acknowledged and is not there: $(grep -F -e "$id " present)" ;;
        -) ! grep -qF -e "$id " present || fail "enrollment $id was deleted and is there" ;;
        esac
    done <expected
}

check_registrations() {
    local id updated found
    while read -r id updated; do
        found=$(dps GET "/registrations/$id" -f | jq -r 'select(.status == "assigned" or .status == "assigning") | .lastUpdatedDateTimeUtc // "9"') || found=nothing
        [[ $found != nothing && ! $found < $updated ]] || fail "registration $id of $updated was acknowledged; there is $found"
    done < <(sort registered | awk '{ last[$1] = $2 } END { for (id in last) print id, last[id] }')
}

check_twin() {
    local number version now
    read -r number version < <(tail -n 1 patched)
    now=$(reported "$((number + 1))")
    [[ $now -gt $version ]] || fail "twin version $version was acknowledged; after it comes '$now'"
}

start
write_individual dev-0 dev-0
write_individual dev-1 dev-1
jq --arg hub "$hub" '. + {iotHubs: [$hub]}' <(
    write_individual twin-0 twin-0
    cat "$state/enrollments/twin-0.json"
) >twin.json
mv twin.json "$state/enrollments/twin-0.json"
kill -HUP "$sim_pid"
until_line "$state/events.jsonl" '*"action":"reread"*'
assign twin-0 twin-0
touch enrolled registered patched

for ((round = 1; round <= rounds; round++)); do
    it "round $round of $rounds: killed, started, nothing lost"
    workers=()
    work enroll_for_ever "$round"
    work register_for_ever dev-0
    work register_for_ever dev-1
    work patch_for_ever "$round"
    before=$(cat enrolled registered patched | wc -l)
    until_more=$((before + 5 + RANDOM % 20))
    while (($(cat enrolled registered patched | wc -l) < until_more)); do
        read -r -t 0.01 _ <> <(:) || true
    done
    read -r -t "0.0$((RANDOM % 90 + 10))" _ <> <(:) || true
    kill -KILL "$sim_pid"
    wait "$sim_pid" 2>/dev/null || true
    for worker in "${workers[@]}"; do
        wait "$worker" || true
    done
    exec {ready_fd}<&-
    start
    check_enrollments
    check_registrations
    check_twin
    ! grep -F -e 'error:' "$scratch/sim.log" || fail 'the simulator found something broken'
done
printf '%s enrollments, %s registrations, %s twins were acknowledged\n' "$(grep -c '^+' enrolled)" "$(wc -l <registered)" "$(wc -l <patched)"
end_sim TERM

it 'refuses a damaged store with its name, moves it away when asked to, and keeps what people wrote'
printf 'this is no database, and long enough to be none' >"$scratch/sim/state.db"
code=0
timeout 60 "$sim_program" --state "$scratch/sim" >out 2>err || code=$?
is "$code" 2
holds err "$scratch/sim/state.db"
holds err '--set-aside'
start_sim "$scratch/sim" --set-aside
token=$(new_token)
holds "$scratch/sim/state.db.aside-1" 'this is no database'
is "$(dps GET /registrations/dev-0 -o answer -w '%{http_code}')" 404
is "$(dps GET /enrollments/dev-0 -o answer -w '%{http_code}')" 200
end_sim TERM
