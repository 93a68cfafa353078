#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Images go in and out as they are: nbdcopy, and qemu-img with raw and qcow2.
. "$(dirname "$0")/lib.sh"
need nbdcopy qemu-img
need_exit

# Data, holes, zeros that are there, and a tail that is no whole page.
truncate -s $((48 * 1048576 + 1536)) image
head -c 9000000 /dev/urandom | dd of=image conv=notrunc status=none
head -c 3000000 /dev/urandom | dd of=image bs=1M seek=20 conv=notrunc status=none
head -c 2000000 /dev/zero | dd of=image bs=1M seek=30 conv=notrunc status=none
head -c 1536 /dev/urandom | dd of=image bs=1M seek=48 conv=notrunc status=none
size=$(stat -c %s image)
ramet create s

claim 'nbdcopy to and fro, with four connections'
good once "nbdcopy -C 4 image \$uri" s disk=a create-size="$size"
good once "nbdcopy -C 4 \$uri back" s disk=a
same image back
ramet disk export s a exported
same image exported
sound s

claim 'holes stay holes'
[ "$(ramet disk stat s a --json | jq .data_bytes)" -le 12500000 ] ||
    fail "it takes $(ramet disk stat s a --json)"
good once "nbdinfo --map --json \$uri" s disk=a
[ "$(jq '[.[] | select(.type == 0) | .length] | add' out)" -le 12500000 ] || fail 'the map' out
[ "$(jq '[.[].length] | add' out)" = "$size" ] || fail 'the map is not all of it' out

claim 'a snapshot is copied while the disk changes'
ramet snapshot s --name first >/dev/null
serve sock s disk=a
io_works "$uri" 'write -P 9 0 40M' flush
good once "nbdcopy \$uri back2" s disk=a ref=main@first
same image back2
stop

claim 'qemu-img converts from raw and from qcow2, and finds them the same'
good qemu-img convert -O qcow2 image image.qcow2
for format in raw qcow2; do
    source=image
    [ $format = raw ] || source=image.qcow2
    good once "qemu-img convert -n -f $format -O raw $source \$uri" \
        s disk=$format create-size="$size"
    run once "qemu-img compare -f $format -F raw $source \$uri" s disk=$format
    out_has 'Images are identical.'
    run once "qemu-img info --output=json \$uri" s disk=$format
    [ "$(jq '."virtual-size"' out)" = $(((size + 511) / 512 * 512)) ] || fail 'its size' out
done

claim 'a qcow2 image lives in a disk'
good once "qemu-img create -f qcow2 \$uri 64M && qemu-io -f qcow2 -c 'write -P 5 5M 3M' \$uri &&
    qemu-img check -f qcow2 \$uri" s disk=inner create-size=80M
good once "qemu-io -f qcow2 -c 'read -P 5 5M 3M' -c 'read -P 0 8M 1M' \$uri" s disk=inner
! grep -q 'failed' out || fail 'its bytes' out

claim 'a qcow2 file stands on a snapshot that is served'
serve sock s disk=a ref=main@first
good qemu-img create -f qcow2 -b "$uri" -F raw top.qcow2 "$size"
good qemu-img compare -f qcow2 -F raw top.qcow2 image
out_has 'Images are identical.'
stop
sound s
