#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server that is killed: what was flushed is there, and another one can serve the disk at once.
. "$(dirname "$0")/lib.sh"

ramet create s
ramet disk create s d 64M

claim 'what was flushed is there after kill -9, again and again'
for round in 1 2 3 4 5 6 7 8; do
    rm -f load.log # that of the round before would be taken for this one's
    serve sock s disk=d
    # Numbers go up, each flushed before it is said.
    (for n in $(seq 1 200); do
        echo "write -P $n $((round * 4096 + n % 16 * 1048576)) 4k"
        echo "flush"
        echo "write -P 255 $((32 + n % 16))M 64k"
    done | qemu-io -f raw "$uri" >load.log 2>&1) &
    load=$!
    until [ "$(grep -c wrote load.log 2>/dev/null)" -ge $((round * 17)) ] || ! kill -0 $load; do
        sleep 0.01
    done
    stop KILL
    wait $load
    # Of each two writes the first was flushed once the second is said.
    said=$(grep -c 'wrote 65536' load.log)
    [ "$said" -ge 1 ] || fail 'nothing was written' load.log
    serve sock s disk=d
    for n in $(seq $((said > 16 ? said - 15 : 1)) "$said"); do
        # The write behind it may have been the next one to that place, not yet acknowledged.
        disk_io "$uri" "read -P $n $((round * 4096 + n % 16 * 1048576)) 4k" ||
            io_works "$uri" "read -P $((n + 16)) $((round * 4096 + n % 16 * 1048576)) 4k"
    done
    stop
    sound s
done

claim 'a server that is told to end writes back what nobody flushed'
if command -v nbdcopy >/dev/null; then
    ramet disk create s e 4M
    serve sock s disk=e
    # It flushes nothing, and closes its connection when the server is told to end already.
    (head -c 4194304 /dev/urandom && sleep 0.5) | nbdcopy --synchronous - "$uri" &
    load=$!
    sleep 0.25
    stop
    wait $load || fail 'it was not copied'
    [ "$(ramet disk stat s e --json | jq .data_bytes)" = 4194304 ] || fail 'it is not there'
    sound s
else
    skip_claim 'no nbdcopy'
fi

claim 'fio finds after kill -9 what it had flushed'
if command -v fio >/dev/null && fio --enghelp 2>/dev/null | grep -qw nbd; then
    ramet disk create s v 32M
    serve sock s disk=v memory=2M
    before=$(ramet stat s --json | jq .last_id)
    # No block twice, and each is flushed before the next.
    (fio --name=v --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --size=32M --iodepth=1 \
        --fsync=1 --randseed=5 --verify=crc32c --do_verify=0 --output=fio.json \
        --output-format=json >/dev/null 2>&1) &
    load=$!
    until [ "$(ramet stat s --json | jq .last_id)" -ge $((before + 300)) ] || ! kill -0 $load; do
        sleep 0.02
    done
    stop KILL
    wait $load
    sound s
    done=$(sed -n '/^{/,$p' fio.json | jq '.jobs[0].write.total_ios')
    there=$(($(ramet disk stat s v --json | jq .data_bytes) / 4096))
    [ "$done" -ge 100 ] || fail "it wrote only $done blocks" fio.json
    # The last one or two may not have been flushed when the server died.
    [ $there -ge $((done - 2)) ] || fail "$there blocks are there of $done"
else
    skip_claim 'no fio with its engine nbd'
fi
