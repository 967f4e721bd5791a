#!/bin/bash
# tidy.sh ROOT BUILD FILE... - clang-tidy, two files at a time, each once: a file that was clean is not looked at again until it, a header of
# ours that it includes (BUILD knows which: a Ninja build with clang), or .clang-tidy changes.
set -euo pipefail

root=$1 build=$2
shift 2
cache=$build/tidy
mkdir -p -- "$cache"

# One line a file that the build compiled: its name, and the checksums of all that it is made of.
ingredients() {
    (cd -- "$root" && find . -name '*.[ch]' -not -path './build*' -exec cksum {} + | sed 's|\./||') >"$cache/sums"
    ninja -C "$build" -t deps | awk -v root="$root/" -v sums="$cache/sums" '
        BEGIN {
            while ((getline line < sums) > 0) {
                split(line, part, " ")
                sum[substr(line, length(part[1] part[2]) + 3)] = part[1]
            }
        }
        function done() { if (source != "") print source "\t" text; source = text = "" }
        /^[^ ]/ { done(); next }
        /^    / {
            path = substr($0, 5)
            if (index(path, root) != 1)
                next
            path = substr(path, length(root) + 1)
            if (source == "")
                source = path
            text = text " " sum[path]
        }
        END { done() }'
}

declare -A key
config=$(cksum <"$root/.clang-tidy")
while IFS=$'\t' read -r source text; do
    key[$source]=$(cksum <<<"$config$text")
done < <(ingredients)

# Clean files leave a stamp; several xargs jobs may write their output at once, so each says it in one piece.
# shellcheck disable=SC2016 # expanded by the inner shell
for file in "$@"; do
    name=${file#"$root"/}
    stamp="$cache/${name//\//_}.${key[$name]:-unknown}"
    stamp=${stamp// /-}
    [[ -z ${key[$name]:-} || ! -e $stamp ]] || continue
    printf '%s\0%s\0' "$file" "$stamp"
done | xargs -0 -r -n 2 -P 2 bash -c '
    found=$(clang-tidy --quiet -p "$0" "$1" 2>/dev/null) && { touch -- "$2"; exit 0; }
    printf "%s\n" "$found"
    exit 1' "$build"
