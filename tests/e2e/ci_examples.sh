#!/bin/bash
# The examples of packaging/ci: their shell steps are taken out of the files and run, on virtual DKs; the parts around them (GitHub, GitLab, Jenkins, LAVA,
# labgrid's coordinator) are not here.
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

ci=$DPSBENCH_SOURCE/packaging/ci
PATH=$DPSBENCH_BIN:$ci/lava:$ci/labgrid:$PATH:/usr/sbin
export PATH
export RIG=$DPSBENCH_SOURCE/fixtures/rigs/reference.yaml SELECT=refused/cn-mismatch
# small parts of the suite
export CI_NODE_INDEX=7 CI_NODE_TOTAL=40
step_count=0

# run_step NAME SHELL: the script on stdin, in a folder of its own ($work), which keeps what earlier steps of the same job left.
run_step() {
    step_count=$((step_count + 1))
    cat >"$scratch/step.sh"
    [[ -s $scratch/step.sh ]] || fail "$1: no such step"
    (cd "$work" && "$2" -e "$scratch/step.sh" >"$scratch/stdout" 2>"$scratch/stderr") || return
}

new_job() {
    work=$scratch/$1
    mkdir "$work"
}

# step_of FILE NAME: the lines of `run: |` below `- name: NAME`.
step_of() {
    awk -v name="- name: $2" '
        index($0, name) { is_step = 1; next }
        is_step && /^ +run: \|$/ { is_script = 1; match($0, /^ +/); indent = RLENGTH + 2; next }
        is_script && /[^ ]/ { match($0, /^ */); if (RLENGTH < indent) exit }
        is_script { print substr($0, indent + 1) }' "$1"
}

# item_list FILE KEY: the items of the list below KEY: (the first one), without their dashes.
item_list() {
    awk -v key="$2:" '
        $1 == key && NF == 1 && !is_done { is_list = 1; match($0, /^ */); indent = RLENGTH; next }
        is_list && /^ *- / { sub(/^ *- /, ""); print; next }
        is_list && !/^ *#/ { is_list = 0; is_done = 1 }' "$1"
}

# has_report [FOLDER]
has_report() {
    xmllint --noout "$work/${1:-report}/junit.xml"
    is "$(jq -r .is_complete "$work/${1:-report}/results.json")" true
}

# The artefacts of two parts, as a job gets them that needs both.
make_parts() {
    local part
    for part in 1 2; do
        "$DPSBENCH_BIN/dpsbench" run --shard "$part/2" --out "$work/parts/$part" "$SELECT" >"$scratch/stdout" 2>"$scratch/stderr" || fail "$(cat "$scratch/stderr")"
    done
}

it 'runs the steps of GitHub'
new_job github
step_of "$ci/github.yml" 'Run the cases' | sed 's|[$]{{ matrix.shard }}/2|1/40|' | run_step 'GitHub, virtual' bash
has_report
new_job github-whole
make_parts
step_of "$ci/github.yml" 'Put the parts together' | run_step 'GitHub, whole' bash
has_report
is "$(jq -r '.summary.pass' "$work/report/results.json")" 2
rm -r "$work/report" "$work/parts/2"
code=0
step_of "$ci/github.yml" 'Put the parts together' | run_step 'GitHub, whole' bash || code=$?
is "$code" 2
new_job github-board
step_of "$ci/github.yml" 'Run the cases on the board' | run_step 'GitHub, board' bash
has_report

it 'is red there for a firmware that fails, green when all is skipped, and warns of a rig'
new_job github-red
code=0
RIG=$(rig weak reference never-gives-up) && export RIG
step_of "$ci/github.yml" 'Run the cases on the board' | run_step 'GitHub, board' bash || code=$?
is "$code" 1
# a program in the place of dpsbench, for the codes that take a broken rig
mkdir "$scratch/codes"
# shellcheck disable=SC2016 # for the program
printf '#!/bin/sh\nexit "$CODE"\n' >"$scratch/codes/dpsbench"
chmod +x "$scratch/codes/dpsbench"
for pair in '77 0' '3 3' '5 5' '2 2'; do
    code=0
    step_of "$ci/github.yml" 'Run the cases on the board' | PATH=$scratch/codes:$PATH CODE=${pair% *} run_step 'GitHub, board' bash || code=$?
    is "$code" "${pair#* }"
done
step_of "$ci/github.yml" 'Run the cases on the board' | PATH=$scratch/codes:$PATH CODE=3 run_step 'GitHub, board' bash || true
holds "$scratch/stdout" '::warning::trouble with the rig'
export RIG=$DPSBENCH_SOURCE/fixtures/rigs/reference.yaml

it 'runs the steps of GitLab'
new_job gitlab
item_list "$ci/gitlab.yml" script | run_step GitLab sh
has_report "parts/$CI_NODE_INDEX"
is "$(grep -c 'exit_codes: \[3, 77\]' "$ci/gitlab.yml")" "$(grep -c '^  script:$' "$ci/gitlab.yml")"
new_job gitlab-whole
make_parts
sed -n '/^dpsbench-whole:/,$p' "$ci/gitlab.yml" >"$scratch/whole.yml"
item_list "$scratch/whole.yml" script | run_step 'GitLab, whole' sh
has_report

it 'runs the step of Jenkins'
new_job jenkins
sed -n "/script: '''/,/'''/p" "$ci/Jenkinsfile" | sed '1d;$d' | run_step Jenkins sh
has_report

it 'runs the steps of LAVA, and tells it every row'
new_job lava
mkdir "$scratch/lava-tools"
# LAVA's own helper: runs the command and tells the result
cat >"$scratch/lava-tools/lava-test-case" <<'TOOL'
#!/bin/sh
id=$1
shift 2
"$@" && result=pass || result=fail
echo "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=$id RESULT=$result>"
TOOL
chmod +x "$scratch/lava-tools/lava-test-case"
item_list "$ci/lava/dpsbench.yaml" steps | PATH=$scratch/lava-tools:$PATH run_step LAVA sh
has_report
holds "$scratch/stdout" '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=refused_cn-mismatch_azure RESULT=pass>'
holds "$scratch/stdout" '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=refused_cn-mismatch_connack RESULT=pass>'
holds "$scratch/stdout" '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=dpsbench-run RESULT=pass>'
is "$(grep -c 'LAVA_SIGNAL_STARTTC' "$scratch/stdout")" 2
cat >"$scratch/results.json" <<'JSON'
{"rows": [{"id": "a/b:c d", "device": "one", "verdict": "pass"}, {"id": "a/k", "device": "two", "verdict": "known"},
          {"id": "a/i", "device": "two", "verdict": "inconclusive"}, {"id": "a/e", "device": "two", "verdict": "error"},
          {"id": "a/s", "device": "two", "verdict": "skip"}, {"id": "a/f", "device": "two", "verdict": "fail"}]}
JSON
lava-signals.sh "$scratch/results.json" | sed -n 's/.*TEST_CASE_ID=\(.*\)>/\1/p' >"$scratch/signals"
is "$(cat "$scratch/signals")" 'one_a_b_c_d RESULT=pass
two_a_k RESULT=unknown
two_a_i RESULT=unknown
two_a_e RESULT=fail
two_a_s RESULT=skip
two_a_f RESULT=fail'

it 'acquires a labgrid place, runs on the port that labgrid names, and releases it'
if ! /usr/bin/python3 -c 'import labgrid' 2>/dev/null || ! command -v ser2net >/dev/null; then
    echo '  (no python3-labgrid or no ser2net here)'
    is "$step_count" 10
    exit 0
fi
new_job labgrid
scope=0ne000EEEE5
mkdir "$scratch/sim" "$scratch/client"
start_program sim "$DPSBENCH_BIN/dpsbench-sim" --state "$scratch/sim" --id-scope "$scope"
start_program dk "$DPSBENCH_BIN/dpsbench-vdk" --state "$scratch/dk" --dps-host "$(ready sim host)" --connect "$(ready sim dps)" --id-scope "$scope" \
    --registration-id nrf-352656100000005 --sec-tag 58 --personality reference
# As labgrid's exporter starts it. ser2net takes no port 0, so somebody may be quicker: then again.
listens() {
    awk -v port="$(printf '0100007F:%04X' "$1")" '$2 == port && $4 == "0A" { found = 1 } END { exit !found }' /proc/net/tcp
}
for try in 1 2 3 4 5; do
    port=$("$DPSBENCH_TESTS/free_port")
    printf 'connection: &con\n  accepter: telnet(rfc2217,mode=server),tcp,127.0.0.1,%s\n  connector: serialdev,%s,115200n81,local\n' "$port" "$(ready dk pty)" \
        >"$scratch/ser2net.yaml"
    ser2net -n -u -c "$scratch/ser2net.yaml" >"$scratch/ser2net.log" 2>&1 &
    server=$!
    started+=("$server")
    deadline=$((SECONDS + 20))
    until listens "$port" || ! kill -0 "$server" 2>/dev/null || ((SECONDS > deadline)); do
        read -rt 0.05 <> <(:) || true
    done
    if listens "$port" && ! grep -q 'in use' "$scratch/ser2net.log"; then break; fi
    [[ $try != 5 ]] || fail "ser2net: $(cat "$scratch/ser2net.log")"
    stop_program "$server" TERM || true
done
printf '#!/bin/sh\necho "$@" >>%s/client/calls\n' "$scratch" >"$scratch/client/labgrid-client"
chmod +x "$scratch/client/labgrid-client"
printf 'targets:\n  main:\n    resources:\n      NetworkSerialPort: {host: 127.0.0.1, port: %s, speed: 115200}\n' "$port" >"$scratch/env.yaml"
sed -e "s|registration_id: .*|registration_id: nrf-352656100000005|; s|id_scope: .*|id_scope: $scope|; s|sec_tag: .*|sec_tag: 58|; s|ready: [^}]*|ready: $scratch/sim|" \
    -e "s|reset: .*|reset: [kill, -HUP, '$(ready dk pid)']\n      chip_erase: [kill, -USR1, '$(ready dk pid)']|" "$ci/labgrid/rig.yaml" >"$scratch/rig.yaml"
unset DPSBENCH_TIME_SCALE
code=0
(cd "$work" && PATH=$scratch/client:$PATH labgrid-run.sh nrf9160dk-1 "$scratch/env.yaml" "$scratch/rig.yaml" --out report refused/cn-mismatch:connack >"$scratch/stdout" 2>"$scratch/stderr") || code=$?
is "$code" 0
has_report
is "$(jq -r '.rig.devices[0].serial' "$work/report/results.json")" "rfc2217://127.0.0.1:$port"
is "$(cat "$scratch/client/calls")" '-p nrf9160dk-1 acquire
-p nrf9160dk-1 release'
