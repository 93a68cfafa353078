#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The room that a store takes: copy, compact.
. "$(dirname "$0")/lib.sh"

on_disk()
{
    echo $(($(stat -c '%b' "$1") * 512))
}

ramet create s
seq -f 'key%05g' 1 20000 | awk '{ print $1 "\tvalue of " $1 }' >entries.tsv
ramet load s m entries.tsv
head -c 3000000 /dev/urandom >large
ramet put s files large - <large
ramet snapshot s --name first -m 'all of it' --author ada >/dev/null
for n in 1 2 3 4 5 6 7 8; do
    ramet branch s "b$n"
    ramet put s m key00007 "of b$n" -b "b$n"
done
ramet snapshot s --name mine -b b3 >/dev/null

claim 'a copy has all branches and snapshots, and each holds what it held'
good ramet copy s c
no_out
sound c
for ref in main main@first b1 b8 b3@mine; do
    ramet dump s m -b "$ref" >wanted
    good ramet dump c m -b "$ref"
    out_is_file wanted
done
ramet get c files large -b b5 >got
same got large
ramet snapshots s --json >wanted
good ramet snapshots c --json
out_is_file wanted
ramet branches s --json >wanted
good ramet branches c --json
out_is_file wanted

claim 'what was shared is shared in the copy, and free space is left behind'
[ "$(on_disk c)" -le $(($(ramet stat s --json | jq '.data_bytes') + 1000000)) ] ||
    fail "the copy takes $(on_disk c) bytes"
[ "$(ramet stat s --json | jq .store_id)" != "$(ramet stat c --json | jq .store_id)" ] ||
    fail 'it has the id of its source'

claim 'a copy is a store like any other, and its source does not notice'
good ramet put c m key00001 changed
good ramet delete c b3
good ramet delete c main@first
sound c
good ramet get s m key00001
out_is 'value of key00001'
sound s

claim 'copy --json says where it is and what it takes'
good ramet copy s c2 --json
[ "$(jq -r .path out)" = c2 ] || fail 'the path' out
[ "$(jq .disk_bytes out)" = "$(on_disk c2)" ] || fail 'the size' out

claim 'what is there already is not replaced, the store itself least of all'
echo precious >there
fails 3 'there already' ramet copy s there
[ "$(cat there)" = precious ] || fail 'it was' there
fails 3 'there already' ramet copy s s
ln -s nowhere link
fails 3 'there already' ramet copy s link
mkdir folder
fails 3 'there already' ramet copy s folder
sound s

claim 'a copy of nothing, or to nowhere, leaves nothing behind'
fails 3 'there is none' ramet copy absent c3
fails 3 'folder is not there' ramet copy s no/such/c3
fails 2 'empty' ramet copy s ''
fails 2 '' ramet copy s
ls c3* no 2>/dev/null && fail 'something is left'

claim 'a damaged page is named, and nothing is left'
ramet create broken
ramet load broken m entries.tsv
printf 'x' | dd of=broken bs=1 seek=$((131072 + 40 * 4096 + 2000)) conv=notrunc status=none
fails 3 'page' ramet copy broken c4
ls c4* 2>/dev/null && fail 'something is left'

claim 'a disk without room for the copy is told of, and nothing is left'
mkdir disk
if is_root && mount -t tmpfs -o size=2m tmpfs disk 2>/dev/null; then
    fails 3 'No space left' ramet copy s disk/c
    [ -z "$(ls disk)" ] || fail "left: $(ls disk)"
    umount disk
else
    skip_claim 'needs root and mount'
fi

claim 'compact gives the room of what was deleted back, and the rest is as it was'
ramet delete s main@first
for n in 1 2 3 4 5 6 7 8; do
    ramet delete s "b$n"
done
ramet del s files large
before=$(on_disk s)
length=$(stat -c %s s)
good ramet compact s
out_has 'on disk before'
[ "$(on_disk s)" -le $((before - 2500000)) ] || fail "$before bytes before, $(on_disk s) after"
[ "$(stat -c %s s)" = "$length" ] || fail 'the file has another length'
sound s
ramet dump s m >dumped
same dumped entries.tsv

claim 'stat tells what was given back, and the parts add up to the file'
good ramet stat s --json
[ "$(jq '.hole_bytes > 2000000' out)" = true ] || fail 'no holes' out
[ "$(jq '.file_bytes == .meta_bytes + .data_bytes + .unswept_bytes + .book_bytes + .limbo_bytes
    + .free_bytes + .hole_bytes' out)" = true ] || fail 'they do not' out

claim 'the room is taken again when it is needed'
head -c 2000000 large >smaller
good ramet put s files large - <smaller
ramet get s files large >got
same got smaller
sound s
[ "$(stat -c %s s)" = "$length" ] || fail 'the file grew although it has holes'

claim 'compact --json, and compacting twice'
good ramet compact s --json
good ramet compact s --json
[ "$(jq '.disk_bytes <= .disk_bytes_before + 65536' out)" = true ] || fail 'it grew' out
sound s

claim 'numbers in a row, and with gaps, take little room; copy and compact know them'
for step in 1 3; do
    seq 0 $step 15000 | awk '{ printf "\\x%02x\\x%02x\t%08d\n", $1 / 256, $1 % 256, $1 }' >rows.tsv
    good ramet load s "rows$step" rows.tsv
    ramet dump s "rows$step" >"rows$step.wanted"
done
ramet create rows
ramet load rows m rows1.wanted
[ "$(ramet stat rows --json | jq '.data_bytes < 15001 * 14')" = true ] ||
    fail "$(ramet stat rows --json | jq .data_bytes) bytes for 15001 entries of 10"
sound rows
good ramet copy s c3
good ramet compact s
for store in s c3; do
    sound $store
    for step in 1 3; do
        good ramet count $store "rows$step"
        out_is $((15000 / step + 1))
        good ramet dump $store "rows$step"
        out_is_file "rows$step.wanted"
    done
    good ramet get $store rows3 "$(printf '\x12\x33')"
    out_is 00004659
    good ramet del $store rows1 "$(printf '\x12\x33')"
    good ramet put $store rows1 "$(printf '\x12\x34')" 'longer than others'
    sound $store
    good ramet count $store rows1
    out_is 15000
done

claim 'compact of nothing says so'
fails 3 'there is none' ramet compact absent
fails 2 '' ramet compact
