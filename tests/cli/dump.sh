#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Dumps of disks, and of all that a version has: they are loaded byte for byte and hole for hole, or
# not at all.
. "$(dirname "$0")/lib.sh"

# Data, a hole, zeros that are no hole, data, and an odd end.
head -c 300000 /dev/urandom >image
truncate -s 2M image
head -c 100000 /dev/zero >>image
truncate -s 3M image
head -c 70003 /dev/urandom >>image
size=$(stat -c %s image)
ramet create s
ramet disk import s vm image

data_of()
{
    ramet disk stat "$1" "$2" --json | jq .data_bytes
}

# The disk is the image, and has no more pages. $1: store. $2: disk.
is_image()
{
    ramet disk export "$1" "$2" copy --force
    same image copy
    [ "$(data_of "$1" "$2")" = "$(data_of s vm)" ] || fail 'its holes are filled'
}

claim 'a disk is dumped as JSON lines, in which holes take no room'
good ramet dump s vm
mv out vm.jsonl
[ "$(head -n 1 vm.jsonl | jq -r '[.disk, .size, .data_bytes] | join(" ")')" = \
    "vm $size $(data_of s vm)" ] || fail 'its first line' vm.jsonl
[ "$(jq -s 'map(select(.offset) | .offset) | max' vm.jsonl)" -ge 3145728 ] || fail 'the last data'
[ "$(stat -c %s vm.jsonl)" -lt $(($(data_of s vm) * 14 / 10)) ] || fail 'larger than base64'
good ramet dump s vm --json
same vm.jsonl out

claim 'it is loaded, from a file or a pipe, under any name'
ramet create t
good ramet load t vm vm.jsonl
is_image t vm
good ramet load t piped <vm.jsonl
is_image t piped
good ramet load t renamed vm.jsonl --format jsonl --json
[ "$(jq -c '[.entries, .disks]' out)" = '[0,1]' ] || fail 'what it says' out
good ramet disk list t
out_is $'piped\nrenamed\nvm'
good ramet maps t
no_out
run bash -c "'$ramet' dump s vm | '$ramet' load t direct"
is_status 0
is_image t direct
sound t

claim 'empty disks, holes alone, and sizes at the borders of pages'
: >none
truncate -s 9000 hole
for n in 1 4095 4096 4097 65536 65537 131072; do
    head -c $n /dev/urandom >size-$n
done
for file in none hole size-*; do
    ramet disk import s $file $file
    ramet dump s $file >dumped
    good ramet load t $file dumped
    ramet disk export t $file copy --force
    same $file copy
done
[ "$(data_of t hole)" = 0 ] || fail 'data in a hole'
for page_size in 16384 65536; do
    ramet create t$page_size --page-size $page_size
    good ramet load t$page_size vm vm.jsonl
    ramet disk export t$page_size vm copy --force
    same image copy
    run bash -c "'$ramet' dump t$page_size vm | '$ramet' load t back$page_size"
    is_status 0
    is_image t back$page_size
done
sound t

claim 'a disk that is there is replaced if it is forced, and what is the same stays shared'
fails 3 "there is a disk 'vm' in 'main' already; --force replaces it" ramet load t vm vm.jsonl
err_has 'nothing was loaded'
ramet snapshot t --name before >/dev/null
cp image changed
printf new | dd of=changed bs=1 seek=70000 conv=notrunc status=none
ramet disk import s changed changed
ramet dump s changed >changed.jsonl
good ramet load t vm changed.jsonl --force
ramet disk export t vm copy --force
same changed copy
[ "$(ramet disk stat t vm --json | jq .owned_bytes)" -le 65536 ] || fail 'more than one piece'
# Data where holes are to be, and a longer and a shorter one.
head -c 5000000 /dev/urandom >other
ramet disk import t vm other --force
good ramet load t vm vm.jsonl --force
is_image t vm
ramet disk import t vm hole --force
good ramet load t vm vm.jsonl --force
is_image t vm
sound t

claim 'all that a version has: maps and disks'
ramet put s users ada Ada
printf '\377\t\n' | ramet put s users bytes -
printf 'k%s\tv\n' $(seq 300) | ramet load s many
ramet put s "$(printf 'm\303\244p')" key value
ramet put s gone k v
ramet del s gone k
ramet put s vm 'a map' 'of the name of a disk'
good ramet dump s --all
mv out all.jsonl
[ "$(head -n 1 all.jsonl)" = '{"maps":5,"disks":11}' ] || fail 'its first line' all.jsonl
ramet create u
good ramet load u --all all.jsonl --json
[ "$(jq -c '[.entries, .disks]' out)" = '[304,11]' ] || fail 'what it says' out
is_image u vm
good ramet dump u --all
same all.jsonl out
good ramet load u --all -b main --force <all.jsonl
good ramet dump u --all
same all.jsonl out
sound u
good ramet branch u empty
for map in $(ramet maps u); do ramet drop u "$map" -b empty; done
good ramet dump u --all -b empty
[ "$(head -n 1 out)" = '{"maps":0,"disks":11}' ] || fail 'disks alone' out
ramet create none.ramet
good ramet dump none.ramet --all
out_is '{"maps":0,"disks":0}'
mv out nothing.jsonl
good ramet load none.ramet --all nothing.jsonl

claim 'a map and a disk of one name: the map, unless --disk says otherwise'
good ramet dump s vm
[ "$(cut -f 1 out)" = 'a map' ] || fail 'the map' out
good ramet dump s vm --disk
same vm.jsonl out
good ramet dump s vm --format jsonl
[ "$(jq -r .key out)" = 'a map' ] || fail 'the map' out
fails 2 'a disk is dumped as jsonl, not as tsv' ramet dump s vm --disk --format tsv
fails 2 'all maps and disks are dumped as jsonl, not as mdb' ramet dump s --all --format mdb
fails 2 'a disk is loaded as jsonl, not as tsv' ramet load s x vm.jsonl --disk --format tsv
fails 3 "no disk 'users' in 'main'" ramet dump s users --disk

claim 'dumps of maps are what they were'
good ramet dump s users --format jsonl
out_is $'{"key":"ada","value":"Ada"}\n{"key":"bytes","value_base64":"/wkK"}'
mv out users.jsonl
good ramet load t users users.jsonl
good ramet dump t users --format jsonl
same users.jsonl out
printf '{"disk":"x"}\ty\n' >odd.tsv
good ramet load t odd odd.tsv
good ramet dump t odd
same odd.tsv out
: >empty
good ramet load t nothing empty
good ramet maps t
out_is $'nothing\nodd\nusers'

# $1: what it says. Words: of load. Nothing of it may be left.
refused()
{
    local text=$1
    shift
    fails 3 "$text" ramet load fresh "$@"
    err_has 'nothing was loaded'
    good ramet dump fresh --all
    out_is '{"maps":0,"disks":0}'
}

claim 'a dump that was cut short or changed is refused, and nothing is left'
ramet create fresh
head -n 2 vm.jsonl >bad.jsonl
refused 'bytes of data, and should have' vm bad.jsonl
refused 'cut short' vm <bad.jsonl
head -c 100000 vm.jsonl >bad.jsonl
refused 'premature end of input' vm bad.jsonl
for lines in 1 3 100 308; do
    head -n $lines all.jsonl >bad.jsonl
    refused 'cut short' --all bad.jsonl
done
head -n -1 all.jsonl >bad.jsonl
refused 'cut short' --all bad.jsonl
refused 'there is nothing in it' --all empty
refused 'there is no disk in it' vm --disk empty
(head -n 1 vm.jsonl; sed -n 3p vm.jsonl; sed -n 2p vm.jsonl) >bad.jsonl
refused 'bad.jsonl:3: data of disk' vm bad.jsonl
(head -n 1 vm.jsonl; echo '{"offset":3215874,"data":"xx"}') >bad.jsonl
refused 'bad.jsonl:2: data behind the end' vm bad.jsonl
(head -n 1 vm.jsonl; echo '{"offset":9223372036854775807,"data":"xx"}') >bad.jsonl
refused 'bad.jsonl:2: data behind the end' vm bad.jsonl
(head -n 1 vm.jsonl; echo '{"offset":-1,"data":"xx"}') >bad.jsonl
refused 'bad.jsonl:2: "offset" is not a number' vm bad.jsonl
(cat vm.jsonl; echo '{"key":"k","value":"v"}') >bad.jsonl
refused 'an entry of a map, and not of a disk' vm bad.jsonl
cat vm.jsonl vm.jsonl >bad.jsonl
refused 'a disk begins where another one' vm bad.jsonl
sed -n 2p vm.jsonl >bad.jsonl
refused 'no line before it begins a disk' vm bad.jsonl
refused '--all loads it' m all.jsonl
refused "--all loads what 'dump --all' wrote" --all users.jsonl
refused 'there are more than the first line says' --all vm.jsonl
printf '{"maps":1,"disks":0}\n{"map":"m","entries":1,"x":1}\n' >bad.jsonl
refused 'bad.jsonl:2: more members' --all bad.jsonl
printf '{"maps":1,"disks":0}\n{"map":"a\\u0000b","entries":0}\n' >bad.jsonl
refused 'a name with a zero byte' --all bad.jsonl
printf '{"maps":1,"disks":0}\n{"map":"\\u007fvm","entries":0}\n' >bad.jsonl
refused 'control' --all bad.jsonl
printf '{"disk":"vm","size":1152921504606846977,"data_bytes":0}\n' >bad.jsonl
refused 'cannot write disk' vm bad.jsonl
sound fresh

claim '--batch and --partial are for disks, too'
good ramet load fresh vm vm.jsonl --batch 2
is_image fresh vm
(head -n 3 vm.jsonl; echo '{"offset":0') >bad.jsonl
fails 3 'what stands up to line 3 is in the store' ramet load fresh part bad.jsonl --partial
good ramet disk list fresh
out_is $'part\nvm'
good ramet load fresh part vm.jsonl --force
is_image fresh part
ramet create batches
good ramet load batches --all all.jsonl --batch 7
good ramet dump batches --all
same all.jsonl out
sound batches

claim 'a disk that somebody else writes is not loaded'
mkfifo pipe
"$ramet" disk import fresh busy - <pipe 2>err2 &
importer=$!
exec 3>pipe
head -c 20000000 /dev/zero >&3
for _ in $(seq 100); do
    ! "$ramet" branches fresh | grep -q import: || break
    sleep 0.05
done
fails 3 "disk 'busy' of 'main' is in use" ramet load fresh busy vm.jsonl
exec 3>&-
wait $importer || fail 'the import failed' err2

claim 'a damaged page: the dump fails, and says which'
ramet create broken
# Bytes of one page, found again in the file.
yes marked | head -c 40960 >plain
ramet disk import broken vm plain
at=$(grep -abo -m 1 marked broken | tail -n 1 | cut -d: -f 1)
printf X | dd of=broken bs=1 seek=$((at + 1)) conv=notrunc status=none
run ramet dump broken vm
is_status 3
err_has "cannot read disk 'vm': blob 'vm', byte "

claim 'wrong words'
fails 2 'or --all is given' ramet dump s
fails 2 'or --all is given' ramet load s
fails 2 'one is too much' ramet dump s vm --all
fails 2 'one is too much' ramet dump s --all --disk
fails 2 'one is too much' ramet load s vm vm.jsonl --all
