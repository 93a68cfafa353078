#compdef ramet
# SPDX-License-Identifier: MIT
#
# _ramet - completion of the command ramet, for zsh.
#
# What there is to complete is what the program's own help says: commands, options, and what each
# operand and value is called. Branches, snapshots and maps are those of the store on the line.

# Offers what a value can be. $1: what help calls it. _arguments has set $line and $opt_args.
_ramet_values()
{
    local -a found
    local store=${(Q)line[1]/#\~\//$HOME/} version=${(Q)opt_args[-b]:-${(Q)opt_args[--branch]}}
    [[ $words[1] != diff ]] || version=${(Q)line[3]} # its maps are those of its versions
    case $1 in
    MAP | DISK | 'MAP|DISK' | BRANCH | REF | FROM | *@*) # opening what is no store would leave a lock file beside it
        [[ -f $store ]] && head -c 5 -- $store | grep -q '^ramet' || return ;;
    esac 2>/dev/null
    case $1 in
    S | FILE) _files; return ;;
    COMMAND) found=(${${(M)${(f)"$($ramet help)"}:#  [a-z]*}/(#b)  ([a-z-]##) */$match[1]}) ;;
    RULE) # behind the MAP or /PREFIX of it, if there is one
        compset -P '*='
        found=(fail ours theirs counter max min counter64 max64 min64 set text)
        ;;
    FORMAT) found=(tsv jsonl mdb) ;;
    MODE) found=(full lazy none) ;;
    MAP) found=(${(f)"$($ramet maps $store ${version:+--branch=$version})"}) ;;
    DISK) found=(${(f)"$($ramet disk list $store $version)"}) ;;
    'MAP|DISK')
        found=(${(f)"$(
            $ramet maps $store ${version:+--branch=$version}
            $ramet disk list $store $version
        )"})
        ;;
    BRANCH) found=(${(f)"$($ramet branches $store)"}) ;;
    REF | FROM | *@*)
        found=(${(f)"$(
            $ramet branches $store
            $ramet snapshots $store
            $ramet snapshots $store --json | grep -oE '"branch":"[^"\]*","name":"[^"\]*"' |
                sed 's/^"branch":"\(.*\)","name":"\(.*\)"$/\1@\2/'
        )"})
        ;;
    *) _message -e values $1; return ;;
    esac 2>/dev/null
    compadd -a found
}

_ramet()
{
    setopt local_options extended_glob
    local ramet=${(Q)words[1]/#\~\//$HOME/} command=$words[2] text curcontext=$curcontext
    local -a commands specs line match mbegin mend
    local -A opt_args
    if ((CURRENT == 2)); then
        for text in ${(f)"$($ramet help 2>/dev/null)"}; do
            [[ $text == (#b)'  '([a-z-]##)' '##(*) ]] && commands+=("$match[1]:$match[2]")
        done
        _describe command commands
        return
    fi
    if [[ $command == help ]]; then
        ((CURRENT == 3)) && _ramet_values COMMAND
        return
    fi
    if [[ $command == disk ]]; then # its commands are two words
        if ((CURRENT == 3)); then
            for text in ${${(f)"$($ramet disk --help 2>/dev/null)"}%%options:*}; do
                [[ $text == (#b)'  '([a-z]##)' '##[A-Z]*'  '##(*) ]] &&
                    commands+=("$match[1]:$match[2]")
            done
            _describe command commands
            return
        fi
        command="disk $words[3]"
        shift words
        ((CURRENT--))
    fi

    # --name[=VALUE] and -n; VALUE may be the next word.
    for text in ${(f)"$($ramet ${=command} --help 2>/dev/null)"}; do
        if [[ $text == (#b)'usage: ramet '[a-z\ -]##(*)' [OPTION]...' ]]; then
            for text in ${=match[1]}; do
                local optional=${${(M)text#\[}:+:} kind=${text//[\[\]]/}
                specs+=("$optional:$kind: _ramet_values ${(q)kind}")
            done
        elif [[ $text == (#b)'  '(-([A-Za-z]),|'   ')' '(--[a-z-]##)' '#([A-Z]#)' '##(*) ]]; then
            local letter=${match[2]:+-$match[2]} name=$match[3] value=$match[4] what=$match[5]
            what=${${what//\[/(}//\]/)}
            value=${value:+:$value: _ramet_values $value}
            specs+=("($letter $name)$name${value:+=}[${what//:/\\:}]$value")
            [[ -n $letter ]] && specs+=("($letter $name)$letter${value:++}[${what//:/\\:}]$value")
        fi
    done
    shift words
    ((CURRENT--))
    _arguments -s -S : $specs
}

_ramet "$@"
