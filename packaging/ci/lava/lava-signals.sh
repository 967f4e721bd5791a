#!/bin/sh
# lava-signals.sh RESULTS - tell LAVA how each row of a run went: results.json to its signals, on standard output
#
# LAVA takes no '/' and no blanks in the id of a test case: refused/wrong-chain:azure is refused_wrong-chain_azure. It has four results; what is the
# rig's trouble, or a known finding, is "unknown": neither green nor the firmware's fault.
set -eu

jq -r '
    def id: gsub("[^A-Za-z0-9._-]"; "_");
    def result: {pass: "pass", fail: "fail", error: "fail", skip: "skip"}[.] // "unknown";
    ((.rows | map(.device) | unique | length) > 1) as $is_many
    | "<LAVA_SIGNAL_TESTSET START dpsbench>",
      (.rows[] | ((if $is_many then .device + "_" else "" end) + .id | id) as $id
        | "<LAVA_SIGNAL_STARTTC \($id)>",
          "<LAVA_SIGNAL_ENDTC \($id)>",
          "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=\($id) RESULT=\(.verdict | result)>"),
      "<LAVA_SIGNAL_TESTSET STOP>"' "$1"
