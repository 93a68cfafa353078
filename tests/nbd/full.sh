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

claim 'while it is full, all of it is read and listed as written; a trim makes room at once'
rm -f mount1/s*
ramet create mount1/u
ramet disk create mount1/u d 64M
head -c 14M /dev/zero | tr '\0' x >mount1/filler
# Kinds and lengths of what is listed: 0 is data, 3 a hole.
map_is()
{
    run nbdinfo --map --json "$uri"
    is_status 0
    [ "$(jq -c '[.[] | [.type, .length / 1048576]]' out)" = "$1" ] || fail "not $1 but" out
}
serve sock mount1/u disk=d memory=32M
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    ask 'write -P 1 0 4M'
    ask flush
    ask 'write -P 4 40M 16M'
    ask 'discard 2M 1M'
    ask flush
    until [ -e go ]; do sleep 0.02; done
    ask quit) &
holder=$!
until [ "$(grep -o 'qemu-io> ' hold.log | wc -l)" -gt 5 ]; do sleep 0.02; done
grep -q 'make some, or trim' sock.log || fail 'it is not full' hold.log
map_is '[[0,2],[3,1],[0,1],[3,36],[0,16],[3,8]]'
io_works "$uri" 'read -P 1 0 2M' 'read -P 0 2M 1M' 'read -P 4 40M 16M' 'read -P 0 56M 8M'
io_fails 'no space left' "$uri" 'write -P 5 56M 1M' flush
map_is '[[0,2],[3,1],[0,1],[3,36],[0,17],[3,7]]'
io_works "$uri" 'discard 40M 14M' flush
map_is '[[0,2],[3,1],[0,1],[3,50],[0,3],[3,7]]'
touch go
wait $holder
stop
sound mount1/u
serve sock mount1/u disk=d
map_is '[[0,2],[3,1],[0,1],[3,50],[0,3],[3,7]]'
io_works "$uri" 'read -P 1 0 2M' 'read -P 0 2M 1M' 'read -P 4 54M 2M' 'read -P 5 56M 1M'
stop
rm -f mount1/u* go

claim 'memory that is full keeps nobody from trimming'
ramet create mount1/v
ramet disk create mount1/v d 64M
serve sock mount1/v disk=d memory=2M
# The write fails, as nothing else.
qemu-io -f raw -c 'write -P 6 0 16M' -c 'discard 1M 15M' -c flush -c 'read -P 6 0 1M' \
    -c 'read -P 0 1M 63M' "$uri" >io 2>&1
[ "$(grep -ciE 'fail|error|space' io)" = 1 ] || fail 'another failed, too' io
grep -q 'write failed: No space left' io || fail 'the write did not fail' io
stop
sound mount1/v
rm -f mount1/v* mount1/filler

claim 'room that others make is used, for what could not be written as well'
ramet create mount1/t
ramet disk create mount1/t d 64M
head -c 14M /dev/zero | tr '\0' x >mount1/filler
serve sock mount1/t disk=d
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    ask 'write -P 4 40M 16M'
    ask flush
    until [ -e go ]; do sleep 0.02; done
    ask flush
    ask 'read -P 4 40M 16M'
    ask quit) &
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
