#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a server offers: exports, flags, sizes, snapshots; and what it refuses.
. "$(dirname "$0")/lib.sh"
need_exit

ramet create s
ramet disk create s vm 64M
ramet disk create s 'a@b' 1M
io_in()
{
    once "qemu-io -f raw -c '$1' \$uri" "${@:2}" >io 2>&1 && ! grep -qiE 'fail|error' io
}

claim 'a disk has its size, and all that NBD offers'
run once "nbdinfo --json \$uri" s disk=vm
jq '.exports[0]' out >export
[ "$(jq -c '[."export-size", .is_read_only, .can_flush, .can_fua, .can_trim, .can_zero,
        .can_fast_zero, .can_multi_conn, .can_cache, .is_rotational]' export)" = \
    '[67108864,false,true,true,true,true,true,true,true,false]' ] || fail 'its flags' export
[ "$(jq -c '[.block_minimum, .block_preferred, .block_maximum]' export)" = \
    '[1,4096,33554432]' ] || [ "$(jq -c '[.block_size_minimum, .block_size_preferred,
        .block_size_maximum]' export)" = '[1,4096,33554432]' ] || fail 'its block sizes' export

claim 'exports are listed: of the branch by name, of others as NAME@BRANCH'
ramet branch s test
ramet disk create s only 1M -b test
run once "nbdinfo --list --json \$uri" s
[ "$(jq -r '.exports[]."export-name"' out | sort | xargs)" = \
    'a@b a@b@test only@test vm vm@test' ] || fail 'the list' out
run once "nbdinfo --list --json \$uri" s branch=test
[ "$(jq -r '.exports[]."export-name"' out | sort | xargs)" = 'a@b only vm' ] || fail 'list' out
run once "nbdinfo --list --json \$uri" s disk=vm
[ "$(jq -r '.exports[]."export-name"' out)" = 'vm' ] || fail 'the list of one' out

claim 'the name of an export chooses the disk'
serve sock s
at="nbd+unix:///%s?socket=sock"
# shellcheck disable=SC2059 # it is a format
uri_of() { printf "$at" "$1"; }
io_works "$(uri_of vm)" 'write -P 1 0 4k' flush
io_works "$(uri_of vm@test)" 'read -P 0 0 4k' 'write -P 2 0 4k' flush
io_works "$(uri_of vm)" 'read -P 1 0 4k'
io_works "$(uri_of a@b)" 'write -P 3 0 4k' flush
io_works "$(uri_of a@b@test)" 'read -P 0 0 4k'
ramet snapshot s --name first >/dev/null
io_works "$(uri_of vm)" 'write -P 4 0 4k' flush
qemu-io -r -f raw -c 'read -P 1 0 4k' "$(uri_of vm@main@first)" >io 2>&1 || fail 'a snapshot' io
! grep -q 'failed' io || fail 'a snapshot has other bytes' io
run nbdinfo "$(uri_of none)"
[ "$status" != 0 ] || fail 'a disk that is not there'
grep -q "export 'none'.*no such blob" sock.log || fail 'nothing of it in the log' sock.log
run nbdinfo "$(uri_of '')"
[ "$status" != 0 ] || fail 'a disk without a name, of several'
stop
sound s

claim 'ref= and -r are read-only, and see one version'
io_in 'write 0 4k' s disk=vm ref=main@first && fail 'it could be written'
run once "nbdinfo --json \$uri" s disk=vm ref=main@first
[ "$(jq '.exports[0].is_read_only' out)" = true ] || fail 'ref= is not read-only' out
serve sock -r s disk=vm
qemu-io -r -f raw -c 'read -P 4 0 4k' "$uri" >io 2>&1
! grep -qi 'fail\|error' io || fail 'reading' io
[ "$(nbdinfo --json "$uri" | jq '.exports[0].is_read_only')" = true ] || fail '-r is not'
stop

claim 'one server writes to a disk at a time; a read-only one does not mind'
serve sock s disk=vm
first=$server
qemu-io -f raw "$uri" >hold.log 2>&1 < <(
    ask 'write -P 5 0 4k'
    ask flush
    until [ -e go ]; do sleep 0.02; done
    ask quit) &
holder=$!
until grep -q 'wrote' hold.log; do sleep 0.02; done
run once "nbdinfo \$uri" s disk=vm
[ "$status" != 0 ] || fail 'a second one served it'
err_has 'somebody else writes to it'
run once "nbdinfo \$uri" s disk=vm branch=test
[ "$status" = 0 ] || fail 'the same disk of another branch' err
run once "nbdinfo \$uri" s disk=vm ref=main
[ "$status" = 0 ] || fail 'a reader' err
run ramet disk resize s vm 128M
[ "$status" != 0 ] || fail 'it was resized while somebody writes to it'
once "nbdinfo --size \$uri" s disk=vm lease=wait >waited 2>waited.log &
waiter=$!
until grep -q 'waiting' waited.log; do sleep 0.02; done
[ ! -s waited ] || fail 'it did not wait'
touch go
wait $holder
wait $waiter || fail 'it was not served when the other had gone' waited.log
[ "$(cat waited)" = 67108864 ] || fail 'its size' waited

claim 'a disk without a client can be resized, and is then as large'
good ramet disk resize s vm 128M
[ "$(nbdinfo --size "$uri")" = 134217728 ] || fail 'the size is not the new one'
server=$first
stop

claim 'create-size= makes a disk once'
io_in 'write -P 6 1M 4k' s disk=new create-size=2M || fail 'writing to it' io
io_in 'read -P 6 1M 4k' s disk=new create-size=1M || fail 'it was made anew' io
[ "$(ramet disk stat s new --json | jq .bytes)" = 2097152 ] || fail 'its size'

claim 'what is wrong is said at once, and what to do'
refuses()
{
    local text=$1
    shift
    run server -U - "$plugin" "$@" --run true
    [ "$status" != 0 ] || fail "it began: $*"
    err_has "$text"
}
refuses 'which store?'
refuses 'No such file' nowhere disk=vm
refuses "there is no disk 'none' in 'main'; create-size=SIZE makes one" s disk=none
refuses 'no such branch' s disk=vm branch=none
refuses 'give one of them' s disk=vm branch=main ref=main
refuses 'give that, too' s create-size=1M
refuses 'only read' s disk=vm ref=main create-size=1M
refuses "it is 'wait' or 'fail'" s disk=vm lease=perhaps
refuses 'at least' s disk=vm memory=1k
refuses "unknown parameter 'size'" s disk=vm size=1M
refuses 'is empty' s disk=
head -c 10000 /dev/zero >zeros
refuses 'not a ramet store' zeros disk=vm
sound s
