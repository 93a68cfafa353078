#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bytes: parts of pages, zeros, discards, with memory for all of it and for next to none; fio.
. "$(dirname "$0")/lib.sh"

ramet create s
ramet disk create s d 64M

claim 'parts of pages, over each other'
patterns()
{
    io_works "$uri" 'write -P 1 0 64k' 'write -P 2 1000 5000' 'write -P 3 4096 1' flush \
        'write -P 4 4097 1' 'read -P 1 0 1000' 'read -P 2 1000 3096' 'read -P 3 4096 1' \
        'read -P 4 4097 1' 'read -P 2 4098 1902' 'read -P 1 6000 59536'
    io_works "$uri" 'write -P 5 1M 1M' flush 'write -z -u 1052672 8k' 'write -z 1060865 1000' \
        'read -P 0 1052672 8k' 'read -P 5 1060864 1' 'read -P 0 1060865 1000' \
        'read -P 5 1061865 1000' flush 'read -P 0 1060865 1000' 'read -P 5 1061865 1000'
    io_works "$uri" 'write -P 6 2M 1M' 'discard 2M 1M' 'read -P 0 2M 1M' 'write -P 7 2101248 512' \
        'read -P 0 2M 4k' 'read -P 7 2101248 512' flush 'read -P 7 2101248 512' \
        'read -P 0 2101760 4k'
    io_works "$uri" 'write -f -P 8 10M 12M' 'read -P 8 10M 12M' 'read -P 0 22M 1M'
}
serve sock s disk=d
patterns
stop
sound s

claim 'the same with next to no memory'
ramet disk create s small 64M
serve sock s disk=small memory=1M
patterns
stop
sound s
ramet disk export s d one
ramet disk export s small two
same one two

claim 'what nobody flushes is in the store soon'
serve sock s disk=d
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    ask 'write -P 9 40M 4k'
    until [ -e go ]; do sleep 0.02; done
    ask quit) &
holder=$!
until grep -q 'wrote' hold.log; do sleep 0.02; done
tries=0
until ramet disk export s d now --force && dd if=now bs=4k skip=10240 count=1 status=none |
    tr '\011' x | grep -q xxxx; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { fail 'it is not there'; break; }
    sleep 0.1
done
touch go
wait $holder
stop

claim 'what is there and what is a hole is the same before a flush and after it'
rm -f go
ramet disk create s map 64M
serve sock s disk=map
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    for round in 1 2 3 4 5; do
        for n in 1 2 3 4 5 6 7 8; do
            at=$((RANDOM % 8192 * 4096)) length=$((4096 + RANDOM * 40))
            case $((RANDOM % 4)) in
            0) ask "discard $at $length" ;;
            # A page that becomes zeros part by part is found to be a hole when it is committed.
            1) ask "write -z $at $((length / 4096 * 4096))" ;;
            *) ask "write -P $n $at $length" ;;
            esac
        done
        ask 'read 0 1'
        touch "written$round"
        until [ -e "listed$round" ]; do sleep 0.02; done
        ask flush
        ask 'read 0 1'
        touch "flushed$round"
        until [ -e "seen$round" ]; do sleep 0.02; done
    done
    ask quit) &
holder=$!
for round in 1 2 3 4 5; do
    until [ -e "written$round" ]; do sleep 0.02; done
    nbdinfo --map "$uri" >before
    touch "listed$round"
    until [ -e "flushed$round" ]; do sleep 0.02; done
    nbdinfo --map "$uri" >after
    same before after
    touch "seen$round"
    [ -s before ] || fail 'nothing was listed'
done
wait $holder
stop
sound s

claim 'several disks of a branch, other programs and merges write at the same time'
serve sock s
at='nbd+unix:///%s?socket=sock'
for disk in d small; do
    # shellcheck disable=SC2059 # it is a format
    (for n in 1 2 3 4 5 6 7 8 9 10; do
        qemu-io -f raw -c "write -P $n ${n}M 1M" -c flush "$(printf "$at" $disk)"
    done >"$disk.log" 2>&1) &
    eval "writer_$disk=\$!"
done
for n in 1 2 3 4 5 6 7 8 9 10; do
    good ramet put s m "key$n" value
done
# shellcheck disable=SC2154 # by eval
wait "$writer_d" "$writer_small"
[ "$(grep -c wrote d.log)$(grep -c wrote small.log)" = 1010 ] || fail 'a write failed' d.log
for disk in d small; do
    # shellcheck disable=SC2059
    for n in 1 5 10; do
        io_works "$(printf "$at" $disk)" "read -P $n ${n}M 1M"
    done
done
[ "$(ramet count s m)" = 10 ] || fail 'entries of a map were lost'
stop
sound s

claim 'fio finds what it wrote: four jobs, with trims, flushes and little memory'
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -qw nbd; then
    serve sock s disk=d memory=4M
    run fio --name=v --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=512-64k --size=16M \
        --offset_increment=16M --numjobs=4 --iodepth=8 --verify=crc32c --verify_fatal=1 --fsync=50 \
        --randseed=7 --group_reporting --minimal
    is_status 0
    run fio --name=t --ioengine=nbd --uri="$uri" --rw=randtrimwrite --bs=4k --size=16M \
        --iodepth=8 --randseed=8 --minimal
    is_status 0
    stop
    sound s
else
    skip_claim 'no fio with its engine nbd'
fi
