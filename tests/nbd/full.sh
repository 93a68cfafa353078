#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A disk below that is full: ENOSPC, nothing is lost, and a trim brings the room back.
. "$(dirname "$0")/lib.sh"
need_exit

claim 'a full disk is ENOSPC, and what was written before is there'
mkdir mount1
is_root && mount -t tmpfs -o size=24M none mount1 2>/dev/null || {
    skip_claim 'no tmpfs can be mounted here'
    exit 0
}
nr_mounts=1
ramet create mount1/s
ramet disk create mount1/s d 64M
serve sock mount1/s disk=d memory=4M
io_works "$uri" 'write -P 1 0 8M' flush
io_fails 'no space left' "$uri" 'write -P 2 8M 16M' 'write -P 2 24M 8M' 'write -P 2 32M 8M' flush
io_works "$uri" 'read -P 1 0 8M'
grep -q 'make some, or trim' sock.log || fail 'the log does not say what to do' sock.log

claim 'after a trim there is room again'
tries=0
until disk_io "$uri" 'discard 1M 7M' 'discard 8M 32M' flush; do
    tries=$((tries + 1))
    [ $tries -lt 5 ] || { fail 'a trim fails' io; break; }
done
io_works "$uri" 'read -P 1 0 1M' 'read -P 0 1M 39M'
io_works "$uri" 'write -P 3 4M 4M' flush 'read -P 3 4M 4M'
stop
sound mount1/s
serve sock mount1/s disk=d
io_works "$uri" 'read -P 1 0 1M' 'read -P 3 4M 4M' 'read -P 0 8M 32M'
stop

claim 'room that others make is used, for what could not be written as well'
rm -f mount1/s*
ramet create mount1/t
ramet disk create mount1/t d 64M
head -c 14M /dev/zero | tr '\0' x >mount1/filler
serve sock mount1/t disk=d
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    echo 'write -P 4 40M 16M'
    echo flush
    until [ -e go ]; do sleep 0.02; done
    echo flush
    echo 'read -P 4 40M 16M'
    echo quit) &
holder=$!
until grep -q 'make some, or trim' sock.log; do sleep 0.02; done
rm mount1/filler
touch go
wait $holder
! grep -q 'read failed\|verification' hold.log || fail 'it cannot be read' hold.log
stop
sound mount1/t
serve sock mount1/t disk=d
io_works "$uri" 'read -P 4 40M 16M'
stop
