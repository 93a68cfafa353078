#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Clients that are wrong: they get errors, and nobody else has any. $3: such a client.
client=$(realpath "$3") || exit
. "$(dirname "$0")/lib.sh"
# A thread for each connection: of several, one may answer on a socket that another has closed, and
# nbdkit 1.32 then ends with an assertion of its own (raw_send_socket).
threads=1

ramet create s
ramet disk create s d 1M
ramet disk create s odd $((1048576 + 101))
ramet disk create s other 1M
once "qemu-io -f raw -c 'write -P 7 0 1M' -c flush \$uri" s disk=other >/dev/null

claim 'each wrong request has its error, and the connection and the server go on'
serve sock s
for disk in d odd; do
    run "$client" sock $disk "$(ramet disk stat s $disk --json | jq .bytes)"
    is_status 0
    [ ! -s out ] || fail "as to disk '$disk'" out
done


claim 'several at once, and one who is right beside them'
for n in 1 2 3; do
    "$client" sock d 1048576 >"wrong$n.log" &
    eval "client$n=\$!"
done
for n in 1 2 3 4 5; do
    io_works 'nbd+unix:///other?socket=sock' 'read -P 7 0 1M' 'write -P 7 4k 8k' flush
done
# shellcheck disable=SC2154 # by eval
wait "$client1" "$client2" "$client3"
kill -0 "$server" || fail 'the server has died' sock.log
stop KILL
sound s
serve sock s
io_works 'nbd+unix:///other?socket=sock' 'read -P 7 0 1M'
stop KILL
