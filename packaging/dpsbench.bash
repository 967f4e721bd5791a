# bash completion for dpsbench, dpsbench-sim and dpsbench-vdk.
# Commands and options are asked of the program's own --help when TAB is pressed, so that a new one is known at once.

_dpsbench_help() {
    ARGP_HELP_FMT=rmargin=4000 "$@" --help 2>/dev/null </dev/null
}

_dpsbench_commands() {
    sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\)  *.*/\1/p'
}

# Long options with all their names, '=' behind those that take a value.
_dpsbench_options() {
    sed '/^Examples:/,$d' | grep -E '^  (-., |    )--[a-z]' | sed -E 's/^(.*--[^ ]*)   +.*$/\1/; s/^(.*[^ ]) {3,}.*$/\1/' |
        grep -oE -e '--[a-z][a-z-]*=?' | sort -u
}

# What an option's value is: the word behind '=' in the help.
_dpsbench_value() {
    grep -oE -e "$1=[^ ,]*" | head -n 1 | cut -d= -f2-
}

# Completions of `word` for a value that the help calls $1, of the option $2.
_dpsbench_values() {
    case $2 in
    --dialect)
        dpsbench dialect list 2>/dev/null | sed 's/ .*//'
        compgen -f -- "$word"
        return
        ;;
    esac
    case $1 in
    DIR | FOLDER) compgen -d -- "$word" ;;
    *[!A-Z]*'|'*) tr '|' '\n' <<<"$1" | grep -v '^[A-Z]*$' ;;
    *) compgen -f -- "$word" ;;
    esac
}

# Rows, cases and areas, for the commands that select.
_dpsbench_selectors() {
    dpsbench list 2>/dev/null | sed 's/ .*//' | awk -F '[/:]' '{ print $1; print $1 "/" $2; print }' | sort -u
}

_dpsbench() {
    local line=${COMP_LINE:0:COMP_POINT} word words command text option='' candidate i prefix
    read -ra words <<<"$line"
    word=
    if [[ $line != *' ' ]]; then
        word=${words[-1]}
        unset 'words[-1]'
    fi
    COMPREPLY=()
    [[ ${#words[@]} -gt 0 ]] || return 0
    command=("${words[0]}")
    text=$(_dpsbench_help "${command[@]}")
    for ((i = 1; i < ${#words[@]}; i++)); do
        if _dpsbench_commands <<<"$text" | grep -qxF -e "${words[i]}"; then
            command+=("${words[i]}")
            text=$(_dpsbench_help "${command[@]}")
        fi
    done
    # "--rig=x" and "--rig x"
    if [[ $word == --*=* ]]; then
        option=${word%%=*} word=${word#*=}
    elif [[ ${words[-1]} == --* ]] && _dpsbench_options <<<"$text" | grep -qxF -e "${words[-1]}="; then
        option=${words[-1]}
    fi
    if [[ -n $option ]]; then
        candidate=$(_dpsbench_values "$(_dpsbench_value "$option" <<<"$text")" "$option")
    elif [[ $word == -* ]]; then
        candidate=$(_dpsbench_options <<<"$text")
    else
        candidate=$(_dpsbench_commands <<<"$text")
        case "${command[*]}" in
        'dpsbench run' | 'dpsbench list' | 'dpsbench plan' | 'dpsbench show') candidate+=$'\n'$(_dpsbench_selectors) ;;
        esac
    fi
    # Readline replaces only what stands behind the last break character of its own word.
    prefix=${word%"${word##*[:=]}"}
    [[ ${COMP_WORDBREAKS-} == *:* ]] || prefix=
    while read -r i; do
        if [[ -n $i && $i == "$word"* ]]; then
            COMPREPLY+=("${i#"$prefix"}")
        fi
    done <<<"$candidate"
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == --*= ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}

complete -o default -F _dpsbench dpsbench dpsbench-sim dpsbench-vdk
