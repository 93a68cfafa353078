#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A flush that fails: the store is poisoned. $3: what makes flushes fail.
nosync=$(realpath "$3") || exit
. "$(dirname "$0")/lib.sh"
need_exit
export NOSYNC=$work/broken

ramet create s
ramet disk create s d 16M
ramet disk create s e 16M
serve_broken()
{
    preload=$nosync serve "$@"
}
at()
{
    echo "nbd+unix:///$1?socket=sock"
}

# One line for each command: what came of it.
outcomes()
{
    sed -n 's/.*failed: Input.output error$/EIO/p
        t
        s/^\(qemu-io> \)*\(wrote\|read\|discard\) .*/ok/p
        s/.*Pattern.*/PATTERN/p' "$1" | xargs
}

claim 'a flush that fails is EIO, and so are writes and flushes after it'
serve_broken sock s
io_works "$(at e)" 'write -P 5 0 1M' flush
io_works "$(at d)" 'write -P 1 0 8M' flush
ramet snapshot s --name before >/dev/null
qemu-io -f raw "$(at e)" >hold.log 2>&1 < <(
    ask 'read -P 5 0 1M'
    until [ -e go ]; do sleep 0.02; done
    ask 'read -P 5 0 1M'
    ask 'write -f -P 6 2M 1M'
    ask 'read -P 5 0 1M'
    ask quit) &
holder=$!
until grep -q 'read' hold.log 2>/dev/null; do sleep 0.02; done
touch broken
qemu-io -t writeback -f raw -c 'write -P 2 4M 1M' -c 'write -f -P 2 6M 4k' -c 'write -P 3 0 4k' \
    -c 'read 4M 4k' -c 'read 6M 4k' -c 'read 3M 2M' -c 'read -P 1 0 4M' -c 'read -P 1 5M 1M' \
    -c 'read -P 1 6295552 1M' -c 'read -P 0 8M 8M' -c 'discard 1M 1M' "$(at d)" >io 2>&1
[ "$(outcomes io)" = 'ok EIO EIO EIO EIO EIO ok ok ok ok EIO' ] || fail 'other outcomes' io
grep -q 'look at the device, then start the server anew' sock.log || fail 'nothing said' sock.log
rm broken # the device is well again, and what was not flushed may be gone for all that
touch go
wait $holder
[ "$(outcomes hold.log)" = 'ok ok EIO ok' ] || fail 'other outcomes' hold.log
io_fails 'not available' "$(at d)" 'read 0 4k'

claim 'snapshots are read as before'
qemu-io -r -f raw -c 'read -P 1 0 8M' "$(at d@main@before)" >io 2>&1
! grep -qi 'fail\|error' io || fail 'a snapshot cannot be read' io
stop

claim 'a server that is started anew has what was flushed, and goes on'
sound s
serve sock s
io_works "$(at d)" 'read -P 1 0 4M' 'read -P 1 5M 1M' 'write -P 4 4M 1M' flush
io_works "$(at e)" 'read -P 5 0 1M'
stop
serve sock s
io_works "$(at d)" 'read -P 4 4M 1M'
stop
sound s
