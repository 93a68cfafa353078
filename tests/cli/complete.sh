#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Completion: what bash and zsh offer is what the program takes and what is in the store.
scripts=$(realpath "$(dirname "$0")/../../src/cli")
. "$(dirname "$0")/lib.sh"
. "$scripts/ramet.bash"

mkdir bin functions
ln -s "$ramet" bin/ramet
export PATH=$work/bin:$PATH

# What bash calls only while it completes.
compopt()
{
    echo "compopt $*"
}

# Calls the completion of a line as bash does, with the cursor at its end, into out and err.
offers()
{
    local spaced=${1//@/ @ }
    COMP_LINE=$1
    COMP_POINT=${#1}
    read -ra COMP_WORDS <<<"${spaced//=/ = }"
    [[ $1 != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    {
        _ramet
        [ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
    } >out.tmp 2>err
    sort out.tmp >out
    [ ! -s err ] || fail "completing '$1' said something" err
}

# $1: a line; $2: what is offered, words separated by spaces.
offers_just()
{
    offers "$1"
    [ "$(tr '\n' ' ' <out)" = "${2:+$2 }" ] || fail "'$1' offers not '$2' but" out
}

good ramet create s
good ramet put s users ada x
good ramet put s 'my map' a b
good ramet branch s test
good ramet put s only k v -b test
good ramet snapshot s --name before
good ramet snapshot s --name after
id=$(ramet snapshots s | head -n 1)
commands=$(ramet help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | sort)

claim 'commands are those of help'
offers 'ramet '
out_is "$commands"
offers 'ramet help '
out_is "$commands"
offers_just 'ramet snap' 'snapshot snapshots'
offers_just 'ramet help res' 'reset resolve'

claim 'commands on disks are two words, and disks are those of the version'
ramet disk create s vm 1M
ramet disk create s other 1M -b test
offers_just 'ramet disk c' 'clone create'
offers_just 'ramet disk stat s ' 'vm'
offers_just 'ramet disk drop s -b test ' 'other'
offers_just 'ramet disk import s vm x --f' '--force'
offers_just 'ramet dump s ' 'my\ map users vm'
offers_just 'ramet watch s -b test o' 'only other'
offers_just 'ramet disk import s vm x -b t' 'test'

claim 'options are those of the help of each command'
ramet disk --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/disk \1/p' >disk-commands
[ "$(wc -l <disk-commands)" -ge 9 ] || fail 'no commands on disks' disk-commands
printf '%s\n' "$commands" | grep -vx -e help -e disk | cat - disk-commands >all-commands
while read -r command; do
    # shellcheck disable=SC2086
    ramet $command --help | sed -n '/^options:/,/^$/p' | grep -oE '^  -[A-Za-z]|--[a-z-]+' |
        tr -d ' ' | sort >wanted
    offers "ramet $command -"
    out_is_file wanted
    offers "ramet $command s --"
    out_is "$(grep -- '^--' wanted)"
done <all-commands

claim 'every format and every mode that is offered is taken, and all that are'
offers_just 'ramet dump s users --format ' 'jsonl mdb tsv'
for format in $(cat out); do
    good ramet dump s users --format "$format"
    ramet dump --help | grep -q "FORMAT .*\b$format\b" || fail "help does not name $format"
done
offers_just 'ramet put s users k v --sync ' 'full lazy none'
for mode in $(cat out); do
    good ramet put s users k v --sync "$mode"
done
offers_just 'ramet dump s users -f j' 'jsonl'

claim 'branches, snapshots and maps are those of the store on the line'
offers_just 'ramet snapshots s ' 'main test'
offers_just 'ramet put s users k v -b t' 'test'
offers_just 'ramet reset s te' 'test'
offers_just 'ramet get s users' 'users'
offers_just 'ramet get s o' ''
offers_just 'ramet get s o -b test' 'test'
offers_just 'ramet get s -b test o' 'only'
offers_just 'ramet get -b test s o' 'only'
offers_just 'ramet get --branch=test s o' 'only'
offers_just 'ramet get -btest s o' 'only'
offers_just 'ramet get s -b test -- o' 'only'
offers_just 'ramet maps s --branch=te' 'test'

claim 'the maps of a diff are those of its versions'
offers_just 'ramet diff s main test o' 'only'
offers_just 'ramet diff s test main o' ''
offers_just 'ramet diff s main t' 'test'
offers_just 'ramet merge s te' 'test'
offers_just 'ramet merge s test --into ' 'main test'
offers_just 'ramet cherry-pick s main@b' '@before'

claim 'a policy is one that is taken, and stands behind the map it is for'
offers 'ramet merge s test --policy '
[ "$(wc -l <out)" = 11 ] || fail 'eleven policies' out
for policy in $(cat out); do
    good ramet merge s test --dry-run --policy "$policy" --policy "users=$policy"
    ramet merge --help | grep -q "\b$policy\b" || fail "help does not name $policy"
done
offers_just 'ramet merge s test --policy counter' 'counter counter64'
offers_just 'ramet merge s test --policy users=th' 'theirs'
offers_just 'ramet merge s test --policy=th' 'theirs'
offers_just 'ramet merge s test --policy=users=th' 'theirs'

claim 'a ref is a branch, a name or an id; what stands before @ stays where it is'
offers_just 'ramet get s users k -b main' 'main main@after main@before'
offers_just 'ramet reset s main main@b' '@before'
offers_just 'ramet delete s main@' '@after @before'
offers_just 'ramet branch s new --from main@a' '@after'
offers_just 'ramet maps s --branch=main@b' '@before'
offers_just 'ramet maps s -b @' "$id"
offers_just 'ramet log s main@b' '@before'
offers_just 'ramet log s main us' 'users'
offers_just 'ramet show s te' 'test'
offers_just 'ramet tag s name main@a -b t' 'test'
offers_just 'ramet prune s m' 'main'

claim 'a name with a space is offered as the shell takes it'
offers_just 'ramet count s my' 'my\ map'

claim 'a store and a file are files; a key and a value are nobody knows what'
offers_just 'ramet get ' 'compopt -o default'
offers_just 'ramet load s users ' 'compopt -o default'
offers_just 'ramet get s users ' ''
offers_just 'ramet put s users k ' ''
offers_just 'ramet snapshot s -m ' ''
offers_just 'ramet stat s ' ''

claim 'no store, no such command: nothing, in silence'
echo text >text
offers_just 'ramet get nowhere ' ''
offers_just 'ramet get text ' ''
offers_just 'ramet frobnicate ' ''
[ ! -e nowhere ] || fail 'it made a store'
[ ! -e text-lock ] || fail 'it left a lock file'

# Types lines into a shell on a terminal, each when the shell is done with the one before, and the
# keys $2 after each; then they are what the shell made of them. It writes them to the file typed.
types()
{
    local shell=$1 keys=$2 line nr=0
    shift 2
    rm -f typed keys
    mkfifo keys
    for line; do
        echo "${line##* => }"
    done >wanted
    ZDOTDIR=$work timeout 120 script -qec "$shell" /dev/null <keys >log 2>&1 &
    exec 4>keys
    until [ -e typed ] || ! kill -0 $! 2>/dev/null; do # its first file: it is ready
        sleep 0.05
    done
    for line; do
        printf '%s%b' "${line%% => *}" "$keys" >&4
        nr=$((nr + 1))
        while [ "$(wc -l <typed)" -lt $nr ] && kill -0 $! 2>/dev/null; do
            sleep 0.05
        done
    done
    echo exit >&4
    exec 4>&-
    wait $!
    # The space that follows a word which is complete.
    sed 's/ *$//' typed | cmp -s - wanted || fail "$shell made of it $(diff wanted typed)" log
}

lines=('ramet recl => ramet reclaim' 'ramet help bra => ramet help branch'
    'ramet stat s --ba => ramet stat s --bars'
    'ramet get s us => ramet get s users'
    'ramet get tex => ramet get text'
    'ramet get s -b test on => ramet get s -b test only'
    'ramet dump s users --format=js => ramet dump s users --format=jsonl'
    'ramet put s users k v --sync n => ramet put s users k v --sync none'
    'ramet merge s test --policy users=th => ramet merge s test --policy users=theirs'
    'ramet diff s main test on => ramet diff s main test only'
    'ramet disk imp => ramet disk import'
    'ramet disk stat s v => ramet disk stat s vm'
    'ramet disk drop s -b test oth => ramet disk drop s -b test other'
    'ramet reset s main main@be => ramet reset s main main@before'
    'ramet delete s main@a => ramet delete s main@after'
    'ramet get s users k --branch=main@a => ramet get s users k --branch=main@after'
    "ramet maps s -b @ => ramet maps s -b $id"
    'ramet count s my => ramet count s my\ map')

claim 'typed in bash'
cat >bashrc <<END
PS1='$ '
. '$scripts/ramet.bash'
save()
{
    printf '%s\n' "\$READLINE_LINE" >>'$work/typed'
    READLINE_LINE=
}
bind -x '"\C-b": save'
PROMPT_COMMAND="touch '$work/typed'"
END
types "bash --noprofile --rcfile $work/bashrc -i" '\t\002' "${lines[@]}"

claim 'typed in zsh'
if grep -qE '__[at]san_init' "$ramet"; then
    skip_claim 'a sanitizer says nothing of zsh, and makes the command too slow for it'
elif command -v zsh >/dev/null; then
    cp "$scripts/ramet.zsh" functions/_ramet
    cat >.zshrc <<END
PS1='$ '
fpath=('$work/functions' \$fpath)
autoload -U compinit && compinit -u -D
save()
{
    zle complete-word
    print -r -- "\$BUFFER" >>'$work/typed'
    BUFFER=
}
zle -N save
bindkey '^B' save
zle-line-init()
{
    touch '$work/typed'
}
zle -N zle-line-init
END
    types 'zsh -d -i' '\002' "${lines[@]}"
else
    skip_claim 'no zsh here'
fi
