#!/bin/bash
# make_man.sh BIN OUT - the man pages of the programs in BIN, made from their --help, so that no command and no option can be missing. OUT: NAME.1
set -euo pipefail

bin=$1 out=$2
mkdir -p -- "$out"
# One line a text, however long: roff fills lines itself.
export ARGP_HELP_FMT=rmargin=4000 LC_ALL=C
# The day of the build, so that two packages of one build are the same.
day=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y -- "$bin/dpsbench")}" +%F)
version=$("$bin/dpsbench" --version | cut -d' ' -f2)

help() {
    "$@" --help
}

commands() {
    sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  *.*/\1/p'
}

# The body of a page or section, from a help text on stdin: synopsis, text, options, examples.
body() {
    awk '
        function escape(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            gsub(/\047/, "\\(aq", text)
            gsub(/`/, "\\(ga", text)
            return text ~ /^\./ ? "\\&" text : text
        }
        # roff takes a line for what it is; long ones are split where a space is, and no sentence ends in the middle of one.
        function print_text(text,   words, count, i, line) {
            count = split(text, words, / +/)
            line = ""
            for (i = 1; i <= count; i++) {
                if (line != "" && (length(line) + length(words[i]) > 70 || words[i - 1] ~ /[.!?]$/)) {
                    print escape(line)
                    line = ""
                }
                line = line (line == "" ? "" : " ") words[i]
            }
            if (line != "")
                print escape(line)
        }
        function plain() {
            if (is_block)
                print ".fi\n.RE"
            is_block = 0
        }
        function block(text) {
            if (!is_block)
                print ".RS 2\n.nf"
            is_block = 1
            print escape(text)
        }
        function option(text,   cut, name) {
            sub(/^ +/, "", text)
            cut = match(text, /   +/)
            name = cut ? substr(text, 1, cut - 1) : text
            plain()
            print ".TP\n.B " escape(name)
            is_option = 1
            if (cut)
                print_text(substr(text, cut + RLENGTH))
        }
        /^Usage: / || (is_usage && /^  or: /) {
            sub(/^Usage: /, "")
            block($0)
            is_usage = 1
            next
        }
        is_usage && /^ +[A-Z-]/ { block($0); next }
        { is_usage = 0 }
        /^  (-., |    )--[a-z]/ || /^  -[?A-Za-z], / { option($0); next }
        is_option && /^               / { sub(/^ +/, ""); if ($0 != "") print_text($0); next }
        /^$/ { plain(); is_option = 0; print ".PP"; next }
        { is_option = 0 }
        /^ / { block($0); next }
        { plain(); print_text($0) }
        END { plain() }' | awk '
        # No empty paragraphs, and none before a heading, a block or the end.
        /^\.PP$/ { has_break = 1; next }
        has_break && !/^\.(SS|TP)/ && NR > 1 { print ".PP" }
        { has_break = 0; print }'
}

# section COMMAND...: it, then all that are under it.
section() {
    local child text
    text=$(help "$@")
    printf '.SS "%s"\n' "${*:1}"
    body <<<"$text"
    for child in $(commands <<<"$text"); do
        section "$@" "$child"
    done
}

head_of() {
    printf '.TH %s 1 "%s" "dpsbench %s" "User Commands"\n.SH NAME\n%s \\-\n%s\n.SH SYNOPSIS\n.B %s\n%s\n' \
        "${1^^}" "$day" "$version" "$1" "$2" "$1" "$3"
}

see_also() {
    printf '.SH SEE ALSO\n'
    local name separator=''
    for name in dpsbench dpsbench-sim dpsbench-vdk; do
        if [[ $name != "$1" ]]; then
            printf '%s' "$separator.BR $name (1)"
            separator=$',\n'
        fi
    done
    printf ',\n.BR mosquitto (8)\n.PP\nThe pages of the documentation:\n.I /usr/share/doc/dpsbench\n'
}

# The words of ENVIRONMENT and FILES are not in any --help.
dpsbench_page() {
    local text child
    text=$(help dpsbench)
    head_of dpsbench 'a bench for the X.509 provisioning of nRF91 devices through Azure DPS' '.I COMMAND
.RI [ ARGUMENT "]..."'
    printf '.SH DESCRIPTION\n'
    body <<<"$text" | sed '1,/^\.fi$/d' | sed '1{/^\.RE$/d}'
    printf '.SH COMMANDS\n'
    for child in $(commands <<<"$text"); do
        section dpsbench "$child"
    done
    cat <<'ROFF'
.SH ENVIRONMENT
.TP
.B DPSBENCH_HOME
The folder that holds
.I cases
and
.IR fixtures ,
in place of the one beside the program.
.TP
.B DPSBENCH_STATE
The state folder of a running simulator, for the commands that talk to one.
.TP
.B DPSBENCH_TIME_SCALE
Default of \-\-time\-scale.
.SH FILES
.TP
.I /usr/share/dpsbench/cases
The cases.
.TP
.I /usr/share/dpsbench/fixtures/dialects
The dialects that are built in.
.TP
.I /etc/dpsbench/RIG.yaml
The rig file of a nightly run, dpsbench\-nightly@RIG.timer.
.TP
.I reports/out/TIMESTAMP
What a run leaves, below the current folder:
results.json, junit.xml, timeline.jsonl.
ROFF
    see_also dpsbench
}

program_page() {
    local name=$1 sentence=$2
    head_of "$name" "$sentence" '.RI [ OPTION "]..."'
    printf '.SH DESCRIPTION\n'
    help "$name" | body | sed '1,/^\.fi$/d' | sed '1{/^\.RE$/d}'
    see_also "$name"
}

PATH=$bin:$PATH
dpsbench_page >"$out/dpsbench.1"
program_page dpsbench-sim "a stand-in for Azure's Device Provisioning Service and IoT Hub" >"$out/dpsbench-sim.1"
program_page dpsbench-vdk 'a virtual nRF91 DK on a pty' >"$out/dpsbench-vdk.1"
