#!/bin/bash
# SPDX-License-Identifier: MIT
#
# load when something is wrong: bad lines, --partial, --batch, Ctrl-C, progress.
. "$(dirname "$0")/lib.sh"

ramet create s
printf 'old\tentry\n' | ramet load s m

# $1: format; $2: what the error must have; standard input: the file. Nothing of it may be left.
refused()
{
    cat >"bad.$1"
    ramet dump s m >before
    fails 3 "$2" ramet load s m "bad.$1"
    err_has "bad.$1:"
    err_has 'nothing was loaded'
    ramet dump s m >after
    same before after
}

claim 'TSV: a bad line is named by number, and nothing is left'
printf 'a\t1\nb\t2\nno tab here\nd\t4\n' | refused tsv 'bad.tsv:3: no tab'
printf 'a\t1\n\nb\t2\n' | refused tsv 'bad.tsv:2: no tab'
printf 'a\t1\t2\n' | refused tsv 'bad.tsv:1: a second tab'
printf 'a\t\\q\n' | refused tsv "bad.tsv:1: '\\\\q' in the value"
printf 'a\\\t1\n' | refused tsv "in the key"
printf 'a\t\\x4\n' | refused tsv 'bad.tsv:1:'
printf 'a\t\\xzz\n' | refused tsv 'bad.tsv:1:'
printf 'a\t1\n\t2\n' | refused tsv 'bad.tsv:2: a key of 0 bytes'
{ printf 'a\t1\n'; head -c 1025 /dev/zero | tr '\0' k; printf '\tv\n'; } |
    refused tsv 'bad.tsv:2: a key of 1025 bytes'

claim 'a key of 1024 bytes is fine'
{ head -c 1024 /dev/zero | tr '\0' k; printf '\tv\n'; } | ramet load s long || fail 'load'
good ramet count s long
out_is 1

claim 'JSON lines: a bad line is named by number, and nothing is left'
good='{"key": "a", "value": "1"}'
printf '%s\n' "$good" '{"key": "b", "value": ' | refused jsonl 'bad.jsonl:2: column'
printf '%s\n' "$good" "$good" 'not json' | refused jsonl 'bad.jsonl:3: column'
printf '%s\n' '[1, 2]' | refused jsonl 'not a JSON object'
printf '%s\n' '{"key": "a"}' | refused jsonl 'neither "value"'
printf '%s\n' '{"value": "a"}' | refused jsonl 'neither "key"'
printf '%s\n' '{"key": 1, "value": "a"}' | refused jsonl '"key" is not a string'
printf '%s\n' '{"key": "a", "value": null}' | refused jsonl '"value" is not a string'
printf '%s\n' '{"key": "a", "key_base64": "YQ==", "value": "x"}' | refused jsonl 'both "key"'
printf '%s\n' '{"key": "a", "value": "x", "more": 1}' | refused jsonl 'more members'
printf '%s\n' '{"key": "a", "key": "b", "value": "x"}' | refused jsonl 'duplicate'
printf '%s\n' '{"key": "a", "value_base64": "a"}' | refused jsonl 'is not base64'
printf '%s\n' '{"key": "a", "value_base64": "YR=="}' | refused jsonl 'is not base64'
printf '%s\n' '{"key": "", "value": "x"}' | refused jsonl 'a key of 0 bytes'
printf '{"key": "\xff", "value": "x"}\n' | refused jsonl 'bad.jsonl:1: column'
printf '%s\n' "$good extra" | refused jsonl 'bad.jsonl:1: column'
# Deeper than any stack.
{ head -c 1000000 /dev/zero | tr '\0' '['; echo; } | refused jsonl 'bad.jsonl:1: column'

claim 'mdb: a bad line is named by number, and nothing is left'
header='VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n'
printf 'a\tb\n' | refused mdb 'bad.mdb:1: a dump begins with VERSION=3'
: | refused mdb 'no HEADER=END'
printf 'VERSION=3\nformat=bytevalue\n' | refused mdb 'no HEADER=END'
printf 'VERSION=2\n' | refused mdb 'bad.mdb:1:'
printf 'VERSION=3\nformat=odd\n' | refused mdb "bad.mdb:2: 'format=odd'"
printf 'VERSION=3\ntype=hash\n' | refused mdb "bad.mdb:2: 'type=hash'"
printf 'VERSION=3\ndupsort=1\n' | refused mdb 'several values'
printf "$header"' 6\n 61\nDATA=END\n' | refused mdb 'bad.mdb:5: an odd number'
printf "$header"' 6x\n 61\nDATA=END\n' | refused mdb "bad.mdb:5: '6x'"
printf "$header"' 61\n 61\n' | refused mdb 'before DATA=END'
printf "$header"' 61\nDATA=END\n' | refused mdb 'bad.mdb:6: DATA=END where'
printf "$header"'61\n 61\nDATA=END\n' | refused mdb 'bad.mdb:5: neither'
printf "$header"' \n 61\nDATA=END\n' | refused mdb 'a key of 0 bytes'
printf "$header"' 61\n 61\nDATA=END\nVERSION=3\n' | refused mdb 'bad.mdb:8: something follows'
printf 'VERSION=3\nformat=print\ntype=btree\nHEADER=END\n a\\4\n b\nDATA=END\n' |
    refused mdb 'bad.mdb:5:'

claim 'a map that only a failed load would have made is not there'
printf 'a\t1\nbad\n' >bad.tsv
fails 3 'bad.tsv:2' ramet load s never bad.tsv
good ramet maps s
! grep -qx never out || fail 'it is there' out

claim '--partial commits what came before the bad line; the status is still 3'
printf 'p1\t1\np2\t2\nbad\np3\t3\n' >bad.tsv
fails 3 'bad.tsv:3: no tab' ramet load s partial bad.tsv --partial
err_has '2 entries, up to line 2'
good ramet dump s partial
out_is $'p1\t1\np2\t2'

claim '--batch commits as it goes: a bad line loses its own batch only'
{ seq -f '%06g' 1 2500 | awk '{ print $1 "\tv" }'; echo bad; } >batch.tsv
fails 3 'batch.tsv:2501: no tab' ramet load s batch batch.tsv --batch 1000
err_has '2000 entries, up to line 2000'
good ramet count s batch
out_is 2000
fails 3 '2500 entries' ramet load s batch batch.tsv --batch 1000 --partial
good ramet count s batch
out_is 2500
for wrong in 0 -1 x 1x ''; do
    run ramet load s batch batch.tsv --batch="$wrong"
    is_status 2
done

claim 'Ctrl-C in the middle leaves nothing: status 130, and the store is as it was'
ramet dump s m >before
for signal in INT TERM HUP; do
    # What nohup made us ignore the command ignores too.
    ignored=$(awk '/^SigIgn/ { print $2 }' /proc/self/status)
    [ $signal != HUP ] || [ $((0x$ignored & 1)) = 0 ] || continue
    mkfifo pipe
    "$ramet" load s m pipe >out 2>err &
    loader=$!
    exec 3>pipe
    # More than a pipe holds: when this is written, it has begun to read.
    seq -f 'interrupted %g' 1 5000 | sed 's/$/\tvalue/' >&3
    kill -s $signal $loader
    wait $loader
    status=$?
    exec 3>&-
    rm pipe
    is_status 130
    err_has 'interrupted'
    err_has 'nothing was loaded'
    ramet dump s m >after
    same before after
done

claim 'a load that is killed outright leaves nothing either'
for i in 1 2 3; do
    mkfifo pipe
    "$ramet" load s m pipe >out 2>err &
    loader=$!
    exec 3>pipe
    seq -f "killed $i %g" 1 5000 | sed 's/$/\tvalue/' >&3
    kill -KILL $loader
    wait $loader 2>/dev/null
    exec 3>&-
    rm pipe
    ramet dump s m >after
    same before after
done

claim 'a file that cannot be read'
fails 3 'none.tsv: No such file' ramet load s m none.tsv
mkdir folder
fails 3 'folder: Is a directory' ramet load s m folder

claim 'on a terminal: a bar, entries, rate; elsewhere nothing'
seq -f '%09g' 1 300000 | awk '{ print $1 "\tthe value of " $1 }' >large.tsv
good ramet load s quiet large.tsv
no_out
on_terminal "$ramet load s terminal large.tsv" >out
out_has '300,000 entries'
{ cat large.tsv; sleep 0.3; tail -n 1 large.tsv; } >/dev/null
if grep -q '%' out; then
    out_has '/s'
fi

claim '--json says what was loaded'
run ramet load s json large.tsv --json
is_status 0
[ "$(jq '.entries == 300000 and .id > 0' out)" = true ] || fail 'entries and id' out

claim 'sorted and unsorted input make the same map'
shuf --random-source=large.tsv large.tsv >shuffled.tsv
good ramet load s shuffled shuffled.tsv
ramet dump s shuffled >dumped.tsv
same dumped.tsv large.tsv
ramet dump s json >dumped.tsv
same dumped.tsv large.tsv

claim 'the store is sound'
sound s
