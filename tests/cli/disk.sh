#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Disks: into a store and out of it, byte for byte and hole for hole; cloned, resized, compared,
# merged; and nothing by halves, whatever ends an import.
. "$(dirname "$0")/lib.sh"

# Bytes of the disk that holds a file.
allocated()
{
    echo $(($(stat -c %b "$1") * 512))
}

# A field of the JSON in out.
field()
{
    grep -oE "\"$1\":[0-9]+" out | head -n 1 | cut -d: -f2
}

# 8 MiB and a bit: data, a hole, zeros that are no hole, data, and an odd end.
head -c 1000000 /dev/urandom >image
truncate -s 4M image
head -c 1000000 /dev/zero >>image
truncate -s 7M image
head -c 1000003 /dev/urandom >>image
# Where it is written over, so that random bytes are not by chance what is written.
printf '~~~~~~~~~~~~~~~~' | dd of=image bs=1 seek=5000 conv=notrunc status=none
size=$(stat -c %s image)

claim 'what is imported is exported, byte for byte, and holes and zeros take no room in between'
good ramet create s
good ramet disk import s vm image --json
[ "$(field bytes)" = "$size" ] || fail 'not the size of the image' out
good ramet disk export s vm copy
same image copy
[ "$(allocated copy)" -lt 2200000 ] || fail "$(allocated copy) bytes are allocated"
good ramet disk stat s vm --json
[ "$(field data_bytes)" -lt 2100000 ] || fail 'holes or zeros became data' out
good ramet disk list s
out_is vm
good ramet disk list s --long
out_has "8,340,035"
good ramet maps s
no_out
sound s

claim 'standard input and output, and empty ones'
good ramet disk import s piped - <image
run bash -c "'$ramet' disk export s piped - | cmp - image"
is_status 0
: >nothing
good ramet disk import s none nothing
good ramet disk import s none2 - </dev/null
good ramet disk export s none nothing2
same nothing nothing2
good ramet disk export s none2 -
no_out

claim 'sizes at the borders of pages and pieces'
for n in 1 4095 4096 4097 1048575 1048576 1048577; do
    head -c $n /dev/urandom >odd
    good ramet disk import s odd-$n odd
    good ramet disk export s odd-$n odd2
    same odd odd2
    run bash -c "cat odd | '$ramet' disk import s pipe-$n -"
    is_status 0
    good ramet disk export s pipe-$n odd3
    same odd odd3
    rm -f odd odd2 odd3
done
truncate -s 5000 allhole
good ramet disk import s hole allhole
good ramet disk export s hole allhole2
same allhole allhole2
sound s

claim 'nothing is replaced unless it is forced'
fails 3 "there is a disk 'vm' in 'main' already; --force replaces it" ramet disk import s vm image
fails 3 'copy: it is there already; --force replaces it' ramet disk export s vm copy
cp image changed
printf new | dd of=changed bs=1 seek=5000 conv=notrunc status=none
good ramet snapshot s --name before
good ramet disk import s vm changed --force --json
[ "$(field copied_bytes)" = 4096 ] || fail 'more was written than one page' out
good ramet disk export s vm copy --force
same changed copy
good ramet disk export s vm old -b main@before
same image old
head -c 3000000 image >shorter
good ramet disk import s vm shorter --force
good ramet disk export s vm copy --force
same shorter copy
# Where there was data and now is none.
truncate -s $((size + 10000)) longer
good ramet disk import s vm longer --force
good ramet disk export s vm copy --force
same longer copy
good ramet disk stat s vm --json
[ "$(field data_bytes)" = 0 ] || fail 'data is left' out
good ramet disk import s vm changed --force
sound s

claim 'stat counts disks, where there are some'
good ramet create st
good ramet stat st
! grep -q DISK out || fail 'a column of what there is not' out
good ramet disk import st vm image
good ramet disk create st empty 1M
good ramet put st map k v
good ramet branch st other
good ramet disk drop st vm -b other
good ramet stat st --json
held()
{
    jq -c --arg name "$1" '.branches[] | select(.name == $name) |
        [.maps, .entries, .disks, .disk_bytes, .disk_data_bytes]' out
}
pages=$(ramet disk stat st vm --json | jq '(.data_bytes + 4095) / 4096 | floor * 4096')
[ "$(held main)" = "[1,1,2,$((size + 1048576)),$pages]" ] || fail "main has $(held main)" out
[ "$(held other)" = '[1,1,1,1048576,0]' ] || fail "other has $(held other)" out
good ramet stat st --bytes
out_has 'DISK SIZE'
out_has " $((size + 1048576)) "
! grep -q $'\x7f' out || fail 'the mark of disks' out

claim 'clones share, and go their own ways'
good ramet create c
good ramet disk import c vm image
good ramet disk clone c vm one
good ramet disk stat c vm one --json
[ "$(field owned_bytes)" = 0 ] || fail 'a clone owns something' out
good ramet disk import c vm changed --force -b one
good ramet disk stat c vm one --json
[ "$(field owned_bytes)" = 4096 ] || fail 'it does not own one page' out
good ramet disk stat c vm one --extents
out_has $'4096\t4096\towned'
good ramet disk export c vm copy --force
same image copy
fails 3 "no disk 'mv' in 'main'" ramet disk clone c mv two
run ramet branches c
out_is $'main\none'
good ramet disk snapshot c vm installed -m 'as installed'
good ramet disk clone c vm two -b main@installed
good ramet disk export c vm copy --force -b two
same image copy
sound c

claim 'create, resize, drop'
good ramet disk create c empty 1.5M
good ramet disk stat c empty --json
[ "$(field bytes)" = 1572864 ] || fail 'not 1.5 MiB' out
fails 3 "there is a disk 'empty' in 'main' already" ramet disk create c empty 1G
good ramet disk resize c vm 1G
fails 3 '--force cuts it off' ramet disk resize c vm 8K
good ramet disk resize c vm 8K --force
good ramet disk resize c vm 16K
{
    head -c 8192 image
    head -c 8192 /dev/zero
} >cut
good ramet disk export c vm copy --force
same cut copy
good ramet disk drop c empty
fails 3 "no disk 'empty' in 'main'" ramet disk drop c empty
sound c

claim 'defragment writes anew what is scattered'
pages() # X: 2,400 of them, every second one of which depends on X
{
    awk -v x="$1" 'BEGIN { for (i = 0; i < 2400; i++) printf "%4095d\n", i % 2 ? i : i + x }'
}
pages 0 >first
pages 5000 >second
ramet create frag
good ramet disk import frag d first
good ramet disk clone frag d other
good ramet disk defragment frag d
grep -q '^d: lies in [0-9]* pieces of the file: that is few$' "$work/out" ||
    fail 'not few' "$work/out"
good ramet disk import frag d second --force
good ramet disk stat frag d --json
[ "$(field runs)" -gt 2000 ] || fail 'not in pieces' "$work/out"
good ramet disk defragment frag d --json
[ "$(field runs_before)" -gt 2000 ] || fail 'not in pieces' "$work/out"
[ "$(field runs)" -le 1000 ] || fail 'in many pieces' "$work/out"
good ramet disk stat frag d --json
[ "$(field runs)" -le 1000 ] || fail 'in many pieces' "$work/out"
good ramet disk export frag d copy --force
same second copy
good ramet disk export frag d copy --force -b other
same first copy
fails 3 "no disk 'e' in 'main'" ramet disk defragment frag e
sound frag

claim 'what differs, by ranges'
good ramet diff c main@installed one
out_is $'B\tvm\t4096\t4096\tdata'
good ramet diff c main@installed one --json
out_is '{"change":"disk data","disk":"vm","offset":4096,"bytes":4096}'
good ramet disk create c extra 64K -b one
good ramet put c m k v -b one
good ramet diff c main@installed one
out_is $'+\tm\n+\tm\tk\tv\nB\textra\t0\t65536\tcreated\nB\tvm\t4096\t4096\tdata'
good ramet diff c main@installed one m
out_is $'+\tm\n+\tm\tk\tv'
good ramet diff c main@installed one vm
out_is $'B\tvm\t4096\t4096\tdata'
fails 2 "'vm' is a disk" ramet diff c main@installed one vm prefix
good ramet diff c one main@installed extra
out_is $'B\textra\t65536\t0\tdropped'
good ramet diff c main@installed one --stat
out_has '~  vm             4,096'
good ramet diff c main@installed one --stat --json
out_has '"disks":[{"disk":"extra","is":"created","written_bytes":0,"hole_bytes":0},{"disk":"vm"'
run ramet diff c main@installed one --quiet
is_status 1
run ramet diff c main@installed two --quiet
is_status 0
run ramet show c one
is_status 0
out_has '~  vm'

claim 'conflicts are shown by bytes, and resolved by offsets'
good ramet create k
good ramet disk import k vm image
good ramet branch k b
cp image ours && printf AAA | dd of=ours bs=1 seek=5000 conv=notrunc status=none
cp image theirs && printf BBBB | dd of=theirs bs=1 seek=5002 conv=notrunc status=none
printf B | dd of=theirs bs=1 seek=20000 conv=notrunc status=none
good ramet disk import k vm ours --force
good ramet disk import k vm theirs --force -b b
run ramet merge k b
is_status 1
out_is "$(printf '%s\n' $'vm\t4096' '  base   = data' \
    '  ours   = data; 3 bytes are not as in base, the first at 5000' \
    '  theirs = data; 4 bytes are not as in base, the first at 5002')"
run ramet merge k b --keep-conflicts
is_status 1
run ramet conflicts k --json
out_has '{"disk":"vm","what":"page","offset":4096,"bytes":4096,"base_base64":"'
fails 1 "no conflict at key '0'" ramet resolve k vm 0 --theirs
fails 1 "no conflict at key 'x'" ramet resolve k vm x --theirs
fails 2 'is in conflict in a disk gets' ramet resolve k vm --all --delete
fails 3 'has conflicts of a merge' ramet disk import k new image
good ramet resolve k vm 5000 --theirs
out_is 'no conflicts left in main'
good ramet disk export k vm copy --force
same theirs copy
good ramet branch k c --from b
good ramet disk import k vm ours --force
good ramet disk import k vm image --force -b c
good ramet merge k c --policy vm=ours
good ramet disk export k vm copy --force
same ours copy
sound k

claim 'a disk is no map'
fails 3 "'vm' is a disk of 'main', and no map" ramet scan k vm
fails 3 "'vm' is a disk of 'main', and no map" ramet drop k vm
good ramet put k vm key value
good ramet dump k vm
out_is $'key\tvalue'

claim 'images of other formats are refused with what to do'
printf 'QFI\xfb\0\0\0\3' >image.qcow2
truncate -s 64K image.qcow2
fails 3 "'qemu-img convert -f qcow2 -O raw image.qcow2 image.qcow2.raw'" \
    ramet disk import s q image.qcow2
run bash -c "cat image.qcow2 | '$ramet' disk import s q -"
is_status 3
err_has 'qcow2 format'
fails 3 "no disk 'q'" ramet disk stat s q
good ramet disk import s q image.qcow2 --raw
good ramet disk export s q copy --force
same image.qcow2 copy

claim 'bad input'
mkdir folder
fails 3 'that is a folder' ramet disk import s f folder
fails 3 'No such file' ramet disk import s f nobody
fails 3 "there is no such branch" ramet disk import s f image -b nobody
fails 3 "no disk 'nobody' in 'main'; 'ramet disk list s main' lists them" ramet disk stat s nobody
fails 3 "no disk 'nobody'" ramet disk export s nobody new
[ ! -e new ] || fail 'a file is left'
for word in '' G 10X -5 1.5 1.G 99999999999999999999 16777216T 1.5.5G 10GiBx; do
    fails 2 'a size is a number of bytes' ramet disk create s bad -- "$word"
done
fails 2 'a disk has at most' ramet disk create s bad 2000P
fails 2 "did you mean 'disk import'" ramet disk improt s vm image
fails 2 "'ramet disk --help' lists them" ramet disk frobnicate
fails 2 "'ramet disk --help' lists commands" ramet disk
fails 2 'ramet disk import S DISK FILE' ramet disk import s vm
fails 3 'folder/none/copy' ramet disk export s vm folder/none/copy
good ramet disk --help
out_has 'import    S DISK FILE'
good ramet help disk import
out_has 'usage: ramet disk import S DISK FILE [OPTION]...'
long=$(printf 'n%.0s' {1..250})
good ramet disk create s "$long" 1M
fails 3 'too long together' ramet disk import s "${long}x" image
run ramet branches s
out_is main

claim 'a killed import left nothing that is seen, and its branch goes with the next import'
head -c 64000000 /dev/urandom >large
good ramet create x
for i in 1 2 3 4 5 6; do
    "$ramet" disk import x vm large --force 2>/dev/null &
    importer=$!
    sleep "0.0$((i * 15 % 90 + 5))"
    kill -KILL $importer 2>/dev/null
    wait $importer 2>/dev/null
    run ramet disk list x
    case $(cat out) in
    '') ;;
    vm) # it had been done
        good ramet disk export x vm copy --force
        same large copy
        ;;
    *) fail 'what is that' out ;;
    esac
    sound x
done
good ramet disk import x other image
run ramet branches x
out_is main
sound x

# What a killed one leaves, whatever moment it was.
claim 'what is left is known by its name, if it is nobody else at work'
good ramet branch x 'import:4:main:vm2'
good ramet branch x 'import:9:forgotten:vm'
good ramet branch x 'import:mine'
good ramet disk import x third image
run ramet branches x
out_is $'import:mine\nmain'

claim 'an import that is interrupted leaves nothing'
mkfifo pipe
good ramet create i
"$ramet" disk import i vm - <pipe 2>err &
importer=$!
exec 3>pipe
head -c 20000000 large >&3
sleep 0.2
kill -INT $importer
# The read that waits for more comes back.
wait $importer
status=$?
exec 3>&-
is_status 130
err_has 'interrupted; nothing was imported'
run ramet branches i
out_is main
run ramet disk list i
no_out
sound i

claim 'two do not write one disk at once'
"$ramet" disk import i vm - <pipe 2>err2 &
importer=$!
exec 3>pipe
head -c 20000000 large >&3
for _ in $(seq 100); do
    ! "$ramet" branches i | grep -q import: || break
    sleep 0.05
done
fails 3 "disk 'vm' of 'main' is in use" ramet disk import i vm image
fails 3 "disk 'vm' of 'main' is in use" ramet disk create i vm 1M
# But another disk, beside it; and then the branch has moved.
good ramet disk import i beside image
exec 3>&-
wait $importer || fail 'the other import failed' err2
good ramet disk list i
out_is $'beside\nvm'
good ramet disk export i beside copy --force
same image copy
run bash -c "'$ramet' disk export i vm - | cmp -n 20000000 - large"
is_status 0
run ramet branches i
out_is main
sound i

claim 'a full disk: nothing was imported, and the store goes on'
mkdir full
if is_root && mount -t tmpfs -o size=24m tmpfs full 2>/dev/null; then
    good ramet create full/s
    good ramet disk import full/s small image
    fails 3 'No space left' ramet disk import full/s vm large
    run ramet branches full/s
    out_is main
    run ramet disk list full/s
    out_is small
    good ramet disk export full/s small copy --force
    same image copy
    sound full/s
    fails 3 'cannot write it' ramet disk export i vm full/out
    [ -z "$(find full -name 'out*')" ] || fail 'a part of it is left'
    # There is room again.
    good ramet disk import full/s again image
    sound full/s
    umount full
else
    skip_claim 'no tmpfs can be mounted here'
fi
