#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The command line itself: help, wrong usage, JSON, colour.
. "$(dirname "$0")/lib.sh"

commands='create put get del scan count load dump maps drop branch branches snapshot snapshots log
show graph tag prune reset delete diff merge conflicts resolve cherry-pick revert reclaim stat check
version'

claim 'without a command: the list on standard error, status 2'
run ramet
is_status 2
no_out
err_has 'usage:'

claim 'help, --help and -h print the list; every command is in it'
for word in help --help -h; do
    good ramet $word
    for command in $commands; do
        grep -q "^  $command  " out || fail "no $command in $word" out
    done
done

claim 'every command has help with options and examples'
for command in $commands; do
    good ramet $command --help
    out_has "usage: ramet $command"
    out_has '--json'
    out_has "  ramet $command"
    cp out first
    good ramet help $command
    out_is_file first
done

claim 'version, --version and the library agree'
good ramet version
cp out first
grep -q '^ramet [0-9]*\.[0-9]*\.[0-9]*$' out || fail 'a version' out
good ramet --version
out_is_file first

claim 'an unknown command suggests the nearest'
fails 2 "did you mean 'snapshot'?" ramet snapshto s
fails 2 "did you mean 'branch'?" ramet brunch s
fails 2 "did you mean 'help'?" ramet hepl
fails 2 "'ramet help' lists them" ramet frobnicate
fails 2 "unknown command" ramet help frobnicate
fails 2 "unknown command ''" ramet ''

claim 'an unknown option suggests the nearest'
fails 2 'did you mean --format?' ramet dump s m --fromat tsv
fails 2 'did you mean --json?' ramet stat s --jsn
fails 2 'unknown option' ramet stat s -z
fails 2 "unknown option '--batch'" ramet dump s m --batch 5

claim 'too few words, too many, an option without its value'
for command in $commands; do
    [ $command = version ] || fails 2 "usage: ramet $command" ramet $command
done
fails 2 'a word too many' ramet create s t
fails 2 'a word too many' ramet version s
fails 2 'a word too many' ramet put s m k v w x
fails 2 'too many words' ramet put s m k v w x y
fails 2 'needs a value' ramet get s m k -b
fails 2 'needs a value' ramet load s m --format
fails 2 'takes no value' ramet stat s --json=yes
fails 2 "not 'often'" ramet put s m k v --sync often
fails 2 'is empty' ramet get '' m k
[ ! -e s ] || fail 'a store was made'

claim 'wrong usage is said before anything is opened'
fails 2 'not' ramet load none m none --format odd

claim '--json is JSON from every command'
json()
{
    local filter=$1
    shift
    run ramet "$@" --json
    is_status 0
    jq -e "$filter" out >/dev/null || fail "no $filter from: $*" out
}
json '.store == "s" and .page_size == 4096' create s
json '.id > 0' put s m key value
json '.key == "key" and .value == "value"' get s m key
json '.id > 0' put s m $'\xff' $'\xfe'
json '.key_base64 == "/w==" and .value_base64 == "/g=="' get s m $'\xff'
json '.key or .key_base64' scan s m
json '.count == 2' count s m
printf 'a\t1\n' >one.tsv
json '.entries == 1 and .bytes == 4 and .id > 0' load s m one.tsv
json '.key or .key_base64' dump s m
json '.[0].name == "m" and .[0].entries == 3' maps s
json '.name == "b"' branch s b
json 'map(.name) | sort == ["b", "main"]' branches s
json '.id > 0 and .name == "n"' snapshot s --name n
json 'map(select(.name == "n")) | length == 1' snapshots s
json 'map(.name) == ["n"]' log s
json 'map(.change.new) == ["1"]' log s main m a
json '.maps[0].added == 3' show s
json '(.branches | length == 2) and (.versions | length > 0)' graph s
json '.name == "main@t" and .id > 0' tag s t
json '.count == 0 and .dry_run' prune s --keep-last 1 --dry-run
json '.branches | length == 2' stat s
json '.store_id | length == 32' stat s
json '.readers == []' stat s
json '.ok == true and .problems == []' check s
json '.name == "main"' reset s main main@n
json '.name == "b"' delete s b
json '.unswept_bytes == 0' reclaim s
json '.id > 0' del s m key
json '.id > 0' drop s m
json '.version' version

claim 'colour on a terminal, none with NO_COLOR, none in a pipe'
ramet put s m k v
on_terminal "$ramet stat s" >out
grep -q $'\x1b\[1m' out || fail 'no bold title on a terminal' out
on_terminal "NO_COLOR=1 $ramet stat s" >out
! grep -q $'\x1b' out || fail 'colour though NO_COLOR is set' out
good ramet stat s
! grep -q $'\x1b' out || fail 'colour in a pipe' out

claim 'lists are tables on a terminal'
on_terminal "$ramet branches s" >out
out_has 'LAST COMMIT'
on_terminal "$ramet maps s" >out
out_has 'ENTRIES'

claim 'what an error shows of a name cannot drive the terminal'
fails 3 '' ramet get $'no\x1b[2Jstore' m k
! grep -q $'\x1b' err || fail 'a raw escape' err

claim 'stat shows a reader, its age and what it holds'
mkfifo pipe
seq 1 20000 | awk '{ print $1 "\tvalue" }' | ramet load s big
"$ramet" dump s big >pipe &
exec 3<pipe
read -r _ <&3
run ramet stat s --json
jq -e '.readers | length == 1' out >/dev/null || fail 'one reader' out
jq -e '.readers[0] | .version > 0 and .age_ms >= 0' out >/dev/null || fail 'its version and age' out
good ramet stat s
out_has 'READER PID'
exec 3<&-
wait
run ramet stat s --json
jq -e '.readers == []' out >/dev/null || fail 'none is left' out
