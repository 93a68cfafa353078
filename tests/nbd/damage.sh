#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A byte of the store that has flipped: EIO where it is, and nowhere else.
. "$(dirname "$0")/lib.sh"

ramet create s
ramet disk create s d 16M
once "qemu-io -f raw -c 'write -P 1 0 16M' -c 'write -P 90 5M 4k' -c flush \$uri" \
    s disk=d >/dev/null
# 4096 times 'Z' are there once.
off=$(LC_ALL=C grep -obaE 'Z{4096}' s | head -n 1 | cut -d: -f1)

claim 'a damaged page is an error of its range alone, and the log names it'
[ -n "$off" ] || fail 'the page was not found'
printf 'X' | dd of=s bs=1 seek=$((off + 100)) conv=notrunc status=none
serve sock s disk=d
io_fails 'Input/output error' "$uri" 'read 5M 4k'
io_fails 'Input/output error' "$uri" 'read 4M 2M'
io_works "$uri" 'read -P 1 0 5M' 'read -P 1 5246976 4k' 'read -P 1 6M 10M'
grep -q "blob 'd', byte 5242880" sock.log || fail 'the log does not name it' sock.log

claim 'a part of it cannot be written, all of it can'
io_fails 'Input/output error' "$uri" 'write -P 3 5242980 100'
run ramet check s
[ "$status" != 0 ] || fail 'check does not find it'
io_works "$uri" 'write -P 4 5M 4k' flush 'read -P 4 5M 4k' 'read -P 4 5M 4k'
stop
sound s
