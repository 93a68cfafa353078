#!/bin/bash
# SPDX-License-Identifier: MIT
#
# qemu-nbd as a peer: what it serves of an export, and of a qcow2 file made from one, is what the
# plugin serves; what is done to both is the same; and it serves a disk of the plugin itself.
. "$(dirname "$0")/lib.sh"
need qemu-nbd qemu-img nbdcopy
need_exit
peer=

peer_stop()
{
    [ -z "$peer" ] || kill "$peer" 2>/dev/null
    wait "$peer" 2>/dev/null
    peer=
}
trap 'peer_stop; nbd_cleanup' EXIT

# Its socket is peer; $at is its URI.
peer_serve()
{
    rm -f peer
    qemu-nbd -k "$work/peer" -t -e 4 "$@" 2>peer.log &
    peer=$!
    at='nbd+unix:///?socket=peer'
    until [ -S peer ]; do
        kill -0 $peer 2>/dev/null || {
            fail "no qemu-nbd: $*" peer.log
            break
        }
        sleep 0.02
    done
}

identical()
{
    run qemu-img compare -f raw -F raw "$1" "$2"
    out_has 'Images are identical.'
}

ramet create s
truncate -s 32M image
head -c 5000000 /dev/urandom | dd of=image bs=4k seek=100 conv=notrunc status=none
head -c 3000000 /dev/urandom | dd of=image bs=4k seek=5000 conv=notrunc status=none
good ramet disk import s d image
serve sock s
uri='nbd+unix:///d?socket=sock'
good ramet disk export s d exported

claim 'an exported image is the same served by both'
peer_serve -r -f raw exported
identical "$uri" "$at"
identical "$at" image
# Neither tells of data where the other has a hole.
ours=$(nbdinfo --map --totals --json "$uri" | jq -c '[.[] | [.type, .size // .length]]')
theirs=$(nbdinfo --map --totals --json "$at" | jq -c '[.[] | [.type, .size // .length]]')
[ "$ours" = "$theirs" ] || fail "$ours here, $theirs there"
peer_stop

claim 'a qcow2 file made from an export is the same, and goes back into a disk'
good qemu-img convert -f raw -O qcow2 "$uri" made.qcow2
good qemu-img check -q made.qcow2
peer_serve -f qcow2 made.qcow2
identical "$uri" "$at"
good ramet disk create s back 32M
good nbdcopy --flush "$at" 'nbd+unix:///back?socket=sock'
good ramet disk export s back returned
same returned image

claim 'the same requests leave both the same'
for round in 1 2 3; do
    requests=()
    for n in 1 2 3 4 5 6 7 8 9 10; do
        off=$((RANDOM * 900)) length=$((1 + RANDOM * 30))
        case $((RANDOM % 4)) in
        0) requests+=("write -z $off $length") ;;
        1) requests+=("write -z -u $off $length") ;;
        *) requests+=("write -P $((round * 10 + n)) $off $length") ;;
        esac
    done
    io_works "$uri" "${requests[@]}" flush
    io_works "$at" "${requests[@]}" flush
    identical "$uri" "$at"
done
peer_stop

claim 'qemu-nbd serves a disk of the plugin, as one of its clients'
peer_serve --discard=unmap -f raw "$uri"
identical "$uri" "$at"
io_works "$at" 'write -P 77 1M 2M' 'discard 20M 4M' flush 'read -P 77 1M 2M'
io_works "$uri" 'read -P 77 1M 2M' 'read -P 0 20M 4M'
identical "$at" "$uri"
peer_stop
stop
sound s
