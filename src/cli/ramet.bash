# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# ramet.bash - completion of the command ramet, for bash.
#
# What there is to complete is what the program's own help says: commands, options, and what each
# operand and value is called. Branches, snapshots and maps are those of the store on the line.

# Prints what a value can be, one a line. $1: what help calls it. The caller has $ramet, $store,
# $version, $current and $word.
_ramet_values()
{
    case $1 in
    MAP | DISK | 'MAP|DISK' | BRANCH | REF | FROM | *@*) # opening what is no store would leave a lock file beside it
        [ -f "$store" ] && head -c 5 -- "$store" | grep -q '^ramet' || return ;;
    esac 2>/dev/null
    case $1 in
    COMMAND) "$ramet" help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' ;;
    DISK-COMMAND) "$ramet" disk --help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' ;;
    RULE) # behind the MAP or /PREFIX of it, if there is one
        word=${current%"${current##*=}"}
        printf "${word//%/%%}%s\n" fail ours theirs counter max min counter64 max64 min64 set text
        ;;
    FORMAT) printf '%s\n' tsv jsonl mdb ;;
    MODE) printf '%s\n' full lazy none ;;
    MAP) "$ramet" maps "$store" ${version:+"--branch=$version"} ;;
    DISK) "$ramet" disk list "$store" ${version:+"$version"} ;;
    'MAP|DISK')
        "$ramet" maps "$store" ${version:+"--branch=$version"}
        "$ramet" disk list "$store" ${version:+"$version"}
        ;;
    BRANCH) "$ramet" branches "$store" ;;
    REF | FROM | *@*)
        "$ramet" branches "$store"
        "$ramet" snapshots "$store" | uniq # once for each name
        "$ramet" snapshots "$store" --json | grep -oE '"branch":"[^"\]*","name":"[^"\]*"' |
            sed 's/^"branch":"\(.*\)","name":"\(.*\)"$/\1@\2/'
        ;;
    esac 2>/dev/null
}

# Offers the lines of standard input that begin with $1. $2: the front of the word, which bash
# leaves where it is.
_ramet_offer()
{
    local candidate
    while IFS= read -r candidate; do
        [[ $candidate == "$1"* ]] || continue
        printf -v candidate '%q' "$candidate"
        COMPREPLY+=("${candidate#"$2"}")
    done
}

_ramet()
{
    COMPREPLY=()
    # Bash breaks words at '@' and '=' too: what no space separates belongs together.
    local line=${COMP_LINE:0:COMP_POINT} word i words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == 0)) || [[ $line == [[:space:]]* ]]; then
            words+=('')
            line=${line#"${line%%[![:space:]]*}"}
        fi
        ((i < COMP_CWORD)) || word=$line
        words[${#words[@]} - 1]+=$word
        line=${line#"$word"}
    done
    # Near enough to what the shell makes of a word.
    for i in "${!words[@]}"; do
        word=${words[i]//[\\\"\']/}
        words[i]=${word/#\~\//"$HOME/"}
    done
    local ramet=${words[0]} command=${words[1]} current=${words[${#words[@]} - 1]}
    # What is completed begins behind '=', but with '@'.
    local front=''
    [[ $COMP_WORDBREAKS != *=* || $current != *=* ]] || front=${current%"${current##*=}"}
    [[ $COMP_WORDBREAKS != *@* || ${current#"$front"} != *@* ]] || front=${current%@*}

    if ((${#words[@]} == 2)) || { ((${#words[@]} == 3)) && [ "$command" = help ]; }; then
        _ramet_offer "$current" "$front" < <(_ramet_values COMMAND)
        return
    fi

    # Commands of their own are two words.
    if [ "$command" = disk ]; then
        if ((${#words[@]} == 3)); then
            _ramet_offer "$current" "$front" < <(_ramet_values DISK-COMMAND)
            return
        fi
        command="disk ${words[2]}"
        words=("$ramet" "${words[@]:2}")
    fi

    local help store='' version='' option='' nr_operands=0 only_operands='' kind=''
    local -A takes=()
    local operands=()
    local usage='^usage: ramet [a-z -]+(.*) \[OPTION\]\.\.\.$'
    # shellcheck disable=SC2086
    help=$("$ramet" $command --help 2>/dev/null) || return
    while IFS= read -r line; do
        if [[ $line =~ $usage ]]; then
            read -ra operands <<<"${BASH_REMATCH[1]//[\[\]]/}"
        elif [[ $line =~ ^'  '(-([A-Za-z])','|'   ')' '(--[a-z-]+)' '?([A-Z]*)' ' ]]; then
            takes[${BASH_REMATCH[3]}]=${BASH_REMATCH[4]}
            [ -z "${BASH_REMATCH[2]}" ] || takes[-${BASH_REMATCH[2]}]=${BASH_REMATCH[4]}
        fi
    done <<<"$help"

    for word in "${words[@]:2:${#words[@]}-3}"; do
        if [ -n "$option" ]; then
            case $option in -b | --branch) version=$word ;; esac
            option=
        elif [ -z "$only_operands" ] && [ "$word" = -- ]; then
            only_operands=1
        elif [ -z "$only_operands" ] && [[ $word == -[!0-9]* ]]; then
            case $word in
            --branch=*) version=${word#*=} ;;
            -b?*) version=${word#-b} ;;
            *) [ -z "${takes[$word]-}" ] || option=$word ;;
            esac
        else
            # The maps of a diff are those of its versions.
            [[ ${operands[nr_operands]-} != REF ]] || version=$word
            ((nr_operands++)) || store=$word
        fi
    done

    if [ -n "$option" ]; then
        kind=${takes[$option]}
    elif [ -z "$only_operands" ] && [[ $current == --*=* ]]; then
        kind=${takes[${current%%=*}]-}
        front=${front#"${current%%=*}="}
        current=${current#*=}
    elif [ -z "$only_operands" ] && [[ $current == -* ]]; then
        _ramet_offer "$current" "$front" < <(printf '%s\n' "${!takes[@]}" | sort)
        return
    else
        kind=${operands[nr_operands]-}
    fi
    case $kind in
    S | FILE) compopt -o default ;; # files: readline knows best
    ?*) _ramet_offer "$current" "$front" < <(_ramet_values "$kind") ;;
    esac
}

complete -F _ramet ramet
