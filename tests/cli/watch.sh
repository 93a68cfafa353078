#!/bin/bash
# SPDX-License-Identifier: MIT
#
# watch, cursors, and what stat says of them.
. "$(dirname "$0")/lib.sh"

ramet create s
ramet put s users ada Ada

# Begins to watch in the background: $watcher is its pid. lines N: waits until it printed so many.
begin_watch()
{
    command "$ramet" watch "$@" >"$work/seen" 2>"$work/seen-err" &
    watcher=$!
    # It has a reader's slot, or its cursor, when it watches.
    for _ in $(seq 500); do
        [ "$(ramet stat s --json | jq '.readers | length')" -ge 1 ] && return
        sleep 0.02
    done
    fail 'it does not begin to watch' "$work/seen-err"
}

lines()
{
    for _ in $(seq 500); do
        [ "$(wc -l <"$work/seen")" -ge "$1" ] && return
        sleep 0.02
    done
    fail "not $1 lines" "$work/seen"
}

claim 'it prints what others change, batch by batch, as it comes'
begin_watch s users
ramet put s users bob Bob
lines 3
ramet put s users ada 'Ada King'
ramet put s other x y
ramet del s users bob
lines 8
kill -TERM $watcher
wait $watcher
status=$?
is_status 0
jq -r '[.op, .key, .value, .old] | map(. // "-") | join(" ")' seen >got
printf '%s\n' 'begin - - -' 'put bob Bob -' 'end - - -' >wanted
head -n 3 got >first
same first wanted
grep -qx 'put ada Ada King Ada' got || fail 'what there was before' got
grep -qx 'del bob - Bob' got || fail 'what was deleted' got
grep -q other seen && fail 'another map' seen
[ "$(jq -s 'map(select(.op == "begin")) | .[1].from == .[0].to' seen)" = true ] ||
    fail 'a batch begins where the one before it ended' seen

claim 'Ctrl-C ends it in order'
begin_watch s
kill -INT $watcher
wait $watcher
status=$?
is_status 0

claim 'it ends when nobody reads any more, though nothing changes'
timeout 20 bash -c '"$1" watch s --since "" | head -n 1 >/dev/null' - "$ramet" ||
    fail 'it goes on'

claim '--since the empty word is all there is, and --once ends then'
good ramet watch s users --since '' --once
jq -r 'select(.op == "put") | .key + "=" + .value' out >got
echo 'ada=Ada King' >wanted
same got wanted
good ramet watch s --once
no_out

claim '--since a snapshot, its id, and a prefix'
id=$(ramet snapshot s --name before)
ramet put s users carl C
ramet put s users dora D
good ramet watch s users c --since main@before --once
[ "$(jq -r 'select(.op == "put") | .key' out)" = carl ] || fail 'the prefix alone' out
good ramet watch s users --since "$id" --once
[ "$(jq -s 'map(select(.op == "put")) | length' out)" = 2 ] || fail 'both' out
fails 3 'no such version' ramet watch s --since @999999 --once

claim '--keys leaves values out'
good ramet watch s users --since '' --keys --once
[ "$(jq -s 'map(select(.value or .old)) | length' out)" = 0 ] || fail 'values' out

claim '--every prints a batch for each snapshot'
ramet put s users ada 1
ramet snapshot s >/dev/null
ramet put s users ada 2
ramet snapshot s >/dev/null
ramet put s users ada 3
good ramet watch s users --since main@before --every --once
[ "$(jq -r 'select(.key == "ada") | .value' out | tr '\n' ' ')" = '1 2 ' ] || fail 'in turn' out

claim 'a reset is a rewind, a deleted branch is gone'
ramet branch s b --from main@before
ramet put s users ada b -b b
good ramet watch s users -b b --cursor follows-b --once
ramet reset s b main@before
good ramet watch s users -b b --cursor follows-b --once
[ "$(jq -r 'select(.op == "begin") | .kind' out)" = rewind ] || fail 'rewind' out
[ "$(jq -r 'select(.key == "ada") | .value' out)" = 'Ada King' ] || fail 'as it was' out
ramet delete s b
good ramet watch s users -b b --cursor follows-b --once
[ "$(jq -r .op out)" = gone ] || fail 'gone' out
good ramet cursors s --long
out_has 'b (deleted)'
good ramet cursors s --delete follows-b

claim 'a cursor goes on where it ended'
good ramet watch s users --cursor index --once
no_out
ramet put s users ada 4
good ramet watch s users --cursor index --once
[ "$(jq -r 'select(.op == "put") | .value' out)" = 4 ] || fail 'what was new' out
good ramet watch s users --cursor index --once
no_out
fails 3 'is there already' ramet watch s --cursor index --since '' --once
fails 3 "watches branch 'main'" ramet watch s -b c --cursor index --once

claim 'what was not printed to its end is printed again'
ramet put s users ada 5
command "$ramet" watch s users --cursor index --once >/dev/full 2>err
status=$?
is_status 3
good ramet watch s users --cursor index --once
[ "$(jq -r 'select(.op == "put") | .value' out)" = 5 ] || fail 'again' out

claim 'cursors are listed, and stat says what they pin'
seq 1 3000 | awk '{ print $1 "\tvalue" }' | ramet load s big
good ramet cursors s
out_is index
good ramet cursors s --json
[ "$(jq -r '.[0] | [.name, .branch, .gone, .in_use] | map(tostring) | join(" ")' out)" = \
    'index main false false' ] || fail 'as JSON' out
pinned=$(jq '.[0].pinned_bytes' out)
[ "$pinned" -gt 0 ] || fail 'it pins something' out
good ramet stat s --json
[ "$(jq .cursor_bytes out)" = "$pinned" ] || fail 'the same sum' out
good ramet stat s
out_has CURSOR
good ramet check s

claim 'one that is in use is not deleted, and has one user'
begin_watch s users --cursor index
fails 3 'in use' ramet cursors s --delete index
fails 3 'in use' ramet watch s users --cursor index --once
{ kill -KILL $watcher && wait $watcher; } 2>/dev/null
good ramet cursors s --delete index
good ramet cursors s
no_out
fails 3 'no such cursor' ramet cursors s --delete index
good ramet check s

claim 'of disks it prints where they changed, by ranges'
ramet create d
truncate -s 40000 raw
head -c 8192 /dev/urandom | dd of=raw bs=4096 seek=2 conv=notrunc status=none
good ramet watch d vm --disk --cursor one --once
good ramet watch d --cursor all --once
ramet disk import d vm raw
ramet put d vmap k v
good ramet watch d vm --cursor one --once
jq -c 'del(.from, .to, .time)' out >got
cat >wanted <<'END'
{"op":"begin","kind":"changes"}
{"op":"create","disk":"vm","size":40000}
{"op":"data","disk":"vm","offset":8192,"bytes":8192}
{"op":"end","changes":2}
END
same got wanted
good ramet watch d --cursor all --once
[ "$(jq -r 'select(.map or .disk) | .op + " " + (.map // .disk)' out | tr '\n' ';')" = \
    'create vmap;put vmap;create vm;data vm;' ] || fail 'maps, and behind them disks' out
# Its pages are not read: that one is damaged is for those to say who want it.
truncate -s 12288 raw
printf new | dd of=raw bs=1 seek=5000 conv=notrunc status=none
ramet disk import d vm raw --force
good ramet watch d vm --cursor one --once
jq -c 'select(.disk) | del(.from, .to)' out >got
cat >wanted <<'END'
{"op":"size","disk":"vm","old":40000,"size":12288}
{"op":"data","disk":"vm","offset":4096,"bytes":4096}
{"op":"hole","disk":"vm","offset":12288,"bytes":4096}
END
same got wanted
ramet disk drop d vm
good ramet watch d --cursor all --once
[ "$(jq -c 'select(.disk) | [.op, .old, .size]' out)" = '["drop",40000,null]' ] ||
    fail 'it was 40000 bytes when that cursor looked last' out
grep -q '\\u007f' out && fail 'the mark of disks' out

claim 'a map and a disk of one name: --disk says which'
ramet put d both k v
ramet disk create d both 1M
good ramet watch d both --since '' --once
[ "$(jq -r 'select(.map or .disk) | .op' out | tr '\n' ' ')" = 'create put ' ] || fail 'the map' out
good ramet watch d both --disk --since '' --once
[ "$(jq -r 'select(.map or .disk) | .disk' out)" = both ] || fail 'the disk' out
ramet disk create d only 1M
fails 2 "'only' is a disk, which has no keys" ramet watch d only k --once
fails 2 'no disk is named' ramet watch d --disk --once

claim 'bytes that are no text stand in base64'
printf '\377' | ramet put s bytes k -
good ramet watch s bytes --since '' --once
[ "$(jq -r 'select(.op == "put") | .value_base64' out)" = /w== ] || fail 'base64' out

claim '--timeout ends it'
good ramet watch s --timeout 1
no_out

claim 'wrong words'
fails 2 'usage' ramet watch
fails 2 'usage' ramet cursors
fails 2 'above 0' ramet watch s --timeout 0
fails 3 'no such branch' ramet watch s -b none --once
fails 3 'control' ramet watch s --cursor "$(printf 'a\tb')" --once
