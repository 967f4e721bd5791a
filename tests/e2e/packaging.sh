#!/bin/bash
# What `cmake --install` and the Debian package leave works from where it is: programs, data, man pages, completion, udev rule, units.
# packaging.sh BUILD
set -euo pipefail

# shellcheck source=tests/e2e/run_lib.sh
. "$DPSBENCH_SOURCE/tests/e2e/run_lib.sh"

build=$1

# commands COMMAND...: the names under "Commands:" in its help.
commands() {
    "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

# long_options COMMAND...: all names of all its long options.
long_options() {
    ARGP_HELP_FMT=rmargin=4000 "$@" --help | sed '/^Examples:/,$d' | sed -nE '/^  (-., |    )--[a-z]/{s/^ +//;s/   +.*$//;p}' |
        { grep -oE -e '--[a-z][a-z-]*' || true; } | sort -u
}

# from_folder FOLDER: dpsbench of the package unpacked there runs a row and finds its own cases.
runs_a_row() {
    dpsbench=$1/bin/dpsbench
    (cd "$scratch" && env -u DPSBENCH_HOME "$dpsbench" list >"$scratch/list")
    is "$(wc -l <"$scratch/list")" "$("$DPSBENCH_BIN/dpsbench" list | wc -l)"
    run_cases refused/cn-mismatch:connack
    exits 0
    is "$(last_line)" '1 passed, 0 failed, 0 skipped'
}

it 'installs into a folder, and runs a row from there'
DESTDIR=$scratch/dest cmake --install "$build" --prefix /usr >"$scratch/install.log" 2>&1 || fail "$(tail -n 20 "$scratch/install.log")"
prefix=$scratch/dest/usr
runs_a_row "$prefix"

it 'has a man page for each program, without a warning'
for page in dpsbench dpsbench-sim dpsbench-vdk; do
    gunzip -c "$prefix/share/man/man1/$page.1.gz" >"$scratch/$page.1"
    LC_ALL=C.UTF-8 man --warnings -l "$scratch/$page.1" >"$scratch/$page.txt" 2>"$scratch/warnings" </dev/null
    [[ ! -s $scratch/warnings ]] || fail "$page: $(cat "$scratch/warnings")"
    LC_ALL=C.UTF-8 MANWIDTH=1000 man -l "$scratch/$page.1" 2>/dev/null | col -bx >"$scratch/$page.txt"
    if command -v mandoc >/dev/null; then
        mandoc -T lint "$scratch/$page.1" >"$scratch/warnings" || fail "$page: $(cat "$scratch/warnings")"
    fi
done

# in_page PAGE COMMAND...: its section has each of its options; and so on below.
in_page() {
    local page=$1 option child section options children
    shift
    options=$(long_options "$@")
    children=$(commands "$@")
    section=$scratch/section
    if [[ $* == *' '* ]]; then
        awk -v words="$(basename "$1") ${*:2}" '$0 == "   " words { p = 1; next } /^   [a-z]/ || /^[A-Z]/ { p = 0 } p' "$page" >"$section"
        [[ -s $section ]] || fail "no section for '$(basename "$1") ${*:2}'"
    else
        section=$page
    fi
    for option in $options; do
        grep -qE -e "(^|[ ,])$option([=, []|$)" "$section" || fail "$* $option is not in its page"
        checked=$((checked + 1))
    done
    for child in $children; do
        checked=$((checked + 1))
        in_page "$page" "$@" "$child"
    done
}

it 'names every command and every option in the man pages'
checked=0
for program in dpsbench dpsbench-sim dpsbench-vdk; do
    in_page "$scratch/$program.txt" "$prefix/bin/$program"
done
[[ $checked -gt 150 ]] || fail "only $checked commands and options were looked for"

# complete_line LINE: what TAB would offer at its end; in $offers.
complete_line() {
    offers=$(PATH=$prefix/bin:$PATH bash --norc -c '
        . "$1"
        COMP_LINE=$2 COMP_POINT=${#2} COMPREPLY=()
        _dpsbench
        printf "%s\n" "${COMPREPLY[@]}"' bash "$prefix/share/bash-completion/completions/dpsbench" "$1" 2>"$scratch/stderr")
    [[ ! -s $scratch/stderr ]] || fail "'$1' says: $(cat "$scratch/stderr")"
}

offered() {
    grep -qxF -e "$1" <<<"$offers" || fail "'$1' is not offered, but: $(tr '\n' ' ' <<<"$offers")"
}

# Each command of the table and each of its options.
completes() {
    local option child children options words=$*
    children=$(commands "$@")
    options=$(long_options "$@")
    if [[ -n $children ]]; then
        complete_line "$words "
        for child in $children; do
            offered "$child"
        done
    fi
    for child in $children; do
        completes "$@" "$child"
    done
    complete_line "$words --"
    for option in $options; do
        grep -qxE -e "$option=?" <<<"$offers" || fail "'$*' does not offer $option"
    done
}

it 'completes every command and option'
PATH=$prefix/bin:$PATH
for program in dpsbench dpsbench-sim dpsbench-vdk; do
    completes "$program"
done

it 'completes values: files, words, dialects, rows'
complete_line 'dpsbench dialect check --dialect nor'
offered nordic
complete_line 'dpsbench-sim --server-key p'
offered p-256
complete_line 'dpsbench-sim --server-key=p'
offered p-256
complete_line 'dpsbench run refused/cn-m'
offered refused/cn-mismatch
complete_line 'dpsbench run refused/cn-mismatch:a'
offered azure
touch "$scratch/my-rig.yaml"
complete_line "dpsbench run --rig $scratch/my-r"
offered "$scratch/my-rig.yaml"
complete_line 'dpsbench frobnicate -'
complete_line 'dpsb'

it 'has a udev rule that udev can read'
rules=$prefix/lib/udev/rules.d/70-dpsbench.rules
if udevadm verify --help >/dev/null 2>&1; then
    udevadm verify "$rules"
fi
# Each rule is a list of KEY operator "value"; a GOTO leads somewhere.
grep -vE '^(#|$)' "$rules" >"$scratch/rules"
if grep -vE '^([A-Z_]+(\{[A-Za-z_]+\})?(==|!=|=|\+=|:=)"[^"]*"(, |$))+$' "$scratch/rules"; then fail 'no rule'; fi
while read -r label; do
    holds "$scratch/rules" "LABEL=\"$label\""
done < <(sed -n 's/.*GOTO="\([^"]*\)".*/\1/p' "$scratch/rules")
is "$(grep -c 'TAG+="uaccess"' "$scratch/rules")" 4
[[ $(basename "$rules") < 73-seat-late.rules ]] || fail 'uaccess is looked at by 73-seat-late.rules'

it 'has units that systemd takes, and a simulator that is locked in'
cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log" 2>&1
units=$scratch/prefix/lib/systemd/system
holds "$units/dpsbench-sim.service" "ExecStart=$scratch/prefix/bin/dpsbench-sim --state"
if command -v systemd-analyze >/dev/null; then
    cp "$units/dpsbench-nightly@.service" "$units/dpsbench-nightly@desk.service"
    cp "$units/dpsbench-nightly@.timer" "$units/dpsbench-nightly@desk.timer"
    for unit in dpsbench-sim.service dpsbench-nightly@desk.service dpsbench-nightly@desk.timer; do
        systemd-analyze verify --man=no --recursive-errors=no "$units/$unit" >"$scratch/verify" 2>&1 || fail "$unit: $(cat "$scratch/verify")"
        [[ ! -s $scratch/verify ]] || fail "$unit: $(cat "$scratch/verify")"
    done
    systemd-analyze security --offline=true --threshold=20 "$units/dpsbench-sim.service" >"$scratch/security" || fail "$(tail -n 3 "$scratch/security")"
fi

it 'starts the simulator with the words of its unit'
mkdir "$scratch/var"
words=$(sed -n 's/^ExecStart=//p' "$units/dpsbench-sim.service")
# shellcheck disable=SC2016 # systemd's variables
words=${words//'${STATE_DIRECTORY}'/$scratch/var} words=${words//'$DPSBENCH_SIM_OPTIONS'/--listen 127.0.0.1:0}
read -ra command <<<"$words"
start_program unit "${command[@]}"
is "$(ready unit host)" global.azure-devices-provisioning.net

it 'runs the rig of a nightly unit with its words'
words=$(sed -n 's/^ExecStart=//p' "$units/dpsbench-nightly@.service")
cp "$DPSBENCH_SOURCE/fixtures/rigs/reference.yaml" "$scratch/desk.yaml"
# shellcheck disable=SC2016
words=${words//'/etc/dpsbench/%i.yaml'/$scratch/desk.yaml} words=${words//'$DPSBENCH_RUN_OPTIONS'/refused/cn-mismatch:connack}
mkdir "$scratch/night"
read -ra command <<<"$words"
(cd "$scratch/night" && "${command[@]}" >"$scratch/stdout" 2>"$scratch/stderr") || fail "$(cat "$scratch/stdout" "$scratch/stderr")"
is "$(find "$scratch/night/reports/out" -name junit.xml | wc -l)" 1

it 'makes a Debian package, and runs a row from there'
if ! command -v dpkg-shlibdeps >/dev/null; then
    echo '  (no dpkg-shlibdeps here)'
    exit 0
fi
cpack --config "$build/CPackConfig.cmake" -G DEB -B "$scratch/deb" >"$scratch/cpack.log" 2>&1 || fail "$(tail -n 20 "$scratch/cpack.log")"
package=$(find "$scratch/deb" -maxdepth 1 -name 'dpsbench_*.deb')
dpkg-deb --info "$package" >"$scratch/info"
holds "$scratch/info" 'Package: dpsbench'
# A sanitizer brings an allocator of its own.
allocator=libjemalloc2
grep -q libasan "$scratch/info" && allocator=libasan8
for library in mosquitto libc6 libcjson1 libfyaml0 libmosquitto1 libssl3 libuv1 libserialport0 libsqlite3-0 libmicrohttpd12 libxml2 "$allocator"; do
    grep -qE "^ Depends: .*\b$library\b" "$scratch/info" || fail "does not depend on $library: $(cat "$scratch/info")"
done
dpkg-deb --contents "$package" >"$scratch/contents"
for file in ./usr/bin/dpsbench ./usr/lib/systemd/system/dpsbench-sim.service ./usr/lib/udev/rules.d/70-dpsbench.rules ./usr/share/man/man1/dpsbench.1.gz \
    ./usr/share/bash-completion/completions/dpsbench ./usr/share/dpsbench/cases/ ./usr/lib/sysusers.d/dpsbench.conf; do
    holds "$scratch/contents" " $file"
done
if grep -vE '^[d-][rwx-]+ root/root ' "$scratch/contents"; then fail 'not all of it is root'\''s'; fi
dpkg-deb --extract "$package" "$scratch/unpacked"
dpkg-deb --control "$package" "$scratch/control"
for script in postinst prerm postrm; do
    [[ -x $scratch/control/$script ]] || fail "$script is not executable"
    sh -n "$scratch/control/$script"
done
holds "$scratch/unpacked/usr/lib/systemd/system/dpsbench-sim.service" 'ExecStart=/usr/bin/dpsbench-sim --state'
lacks "$scratch/unpacked/usr/lib/systemd/system/dpsbench-nightly@.service" "$DPSBENCH_SOURCE"
runs_a_row "$scratch/unpacked/usr"

# Where a namespace of one's own and an overlay are allowed: dpkg itself, on a copy of this system that is gone afterwards.
it 'is installed and removed by dpkg'
cat >"$scratch/in-a-copy.sh" <<'COPY'
set -e
copy=$1 package=$2
mount -t tmpfs tmpfs "$copy"
mkdir "$copy/upper" "$copy/work" "$copy/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$copy/upper,workdir=$copy/work" "$copy/root"
mount -t proc proc "$copy/root/proc"
mount --rbind /dev "$copy/root/dev"
[[ $package ]] || exit 0
cp "$package" "$copy/root/package.deb"
chroot "$copy/root" sh -ec '
    dpkg --install /package.deb
    id dpsbench
    cd /root
    dpsbench run refused/cn-mismatch:connack
    dpkg --purge dpsbench
    test ! -e /usr/bin/dpsbench'
COPY
mkdir "$scratch/copy"
if unshare --mount bash "$scratch/in-a-copy.sh" "$scratch/copy" '' >/dev/null 2>&1; then
    unshare --mount bash "$scratch/in-a-copy.sh" "$scratch/copy" "$package" >"$scratch/stdout" 2>"$scratch/stderr" ||
        fail "$(tail -n 20 "$scratch/stdout" "$scratch/stderr")"
    holds "$scratch/stdout" '1 passed, 0 failed, 0 skipped'
    if command -v systemd-sysusers >/dev/null; then
        grep -qE '^uid=[0-9]+\(dpsbench\).*\(dialout\)' "$scratch/stdout" || fail "no user: $(cat "$scratch/stdout")"
    fi
else
    echo '  (no overlay here)'
fi
