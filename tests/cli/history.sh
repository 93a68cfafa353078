#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What led to a version: log, show, tag, prune.
. "$(dirname "$0")/lib.sh"

# $1: options of snapshot; prints the id without '@'.
keep()
{
    local id
    id=$(ramet snapshot "$@") || exit
    echo "${id#@}"
}

# The lines of out, joined by spaces.
joined_is()
{
    [ "$(tr '\n' ' ' <out)" = "${1:+$1 }" ] || fail "not '$1' but" out
}

ramet create s
ramet put s users ada 'Ada Lovelace'
ramet put s users grace 'Grace Hopper'
first=$(keep s --name before -m $'the first\n\nand why' --author 'A. N. Other')
ramet branch s test
ramet put s users ada 'Ada King'
ramet put s users tab $'a\tb'
second=$(keep s -m 'the second')
ramet del s users grace
ramet put s images logo $'\xff'
third=$(keep s)
ramet put s users ada 'Countess' -b test
tested=$(keep s -b test --name done)

claim 'log: newest first, of the line of a branch, with all that a version was given'
good ramet log s --oneline
cut -d' ' -f1,2 out >ids
printf '@%s main\n@%s main\n@%s main@before\n' "$third" "$second" "$first" >wanted
same ids wanted
good ramet log s
out_has "@$first main@before"
out_has "parents: @$second"
out_has 'author:  A. N. Other'
out_has '    the first'
out_has '    and why'
grep -Eq '^time: +20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC$' out || fail 'a time in UTC' out
good ramet log s test --oneline
cut -d' ' -f1,2 out >ids
printf '@%s test@done\n@%s main@before\n' "$tested" "$first" >wanted
same ids wanted

claim 'log begins at any ref, and ends after N'
for ref in main~1 "@$second" "@$third~1"; do
    good ramet log s "$ref" --json
    [ "$(jq -c 'map(.id)' out)" = "[$second,$first]" ] || fail "log of $ref" out
done
good ramet log s main@before --json
[ "$(jq -c 'map(.id)' out)" = "[$first]" ] || fail 'log of a name' out
good ramet log s --json -n 2
[ "$(jq -c 'map(.id)' out)" = "[$third,$second]" ] || fail 'two of three' out
[ "$(jq -c '.[0].parents' out)" = "[$second]" ] || fail 'parents' out

claim 'log --hidden: a head that nobody keeps'
ramet put s users new x -b test
good ramet log s test --json
[ "$(jq -r '.[0].id' out)" = "$tested" ] || fail 'it is not kept' out
good ramet log s test --hidden --json
[ "$(jq -c '[length, .[0].branch, .[1].id]' out)" = "[3,null,$tested]" ] || fail 'it is told' out

claim 'log of a key: where it changed, from what to what'
good ramet log s main users ada --json
jq -c '.[] | [.id, .change.change, .change.old, .change.new]' out >changes
printf '%s\n' "[$second,\"changed\",\"Ada Lovelace\",\"Ada King\"]" \
    "[$first,\"added\",null,\"Ada Lovelace\"]" >wanted
same changes wanted
good ramet log s main users grace --oneline
grep -q "^@$third main  .*"$'\t-\tusers\tgrace\tGrace Hopper$' out || fail 'removed' out
grep -q "^@$first main@before  .*"$'\t+\tusers\tgrace\tGrace Hopper$' out || fail 'added' out
[ "$(wc -l <out)" = 2 ] || fail 'nothing else' out
good ramet log s main users tab
grep -qFx $'+\tusers\ttab\ta\\tb' out || fail 'escaped' out
good ramet log s test users ada --oneline -n 1
grep -q $'~\tusers\tada\tAda Lovelace\tCountess$' out || fail 'of another branch' out
good ramet log s main images logo --json
[ "$(jq -r '.[0].change.new_base64' out)" = '/w==' ] || fail 'bytes' out
good ramet log s main users nobody
out_is ''
good ramet log s main nowhere ada --json
out_is '[]'

claim 'log: what is wrong, and the remedy'
fails 2 "'ramet log S REF MAP KEY'" ramet log s users ada
fails 2 'does not go with' ramet log s main users ada --all
fails 3 "'ramet branches s'" ramet log s nobody
fails 3 'there are only' ramet log s main~7
fails 3 '' ramet log s main users ''
fails 2 'above 0' ramet log s -n 0

claim 'show: one version with all its names, and how much it changed'
ramet tag s also main@before
good ramet show s "@$first"
out_has 'names:   main@also main@before'
out_has 'author:  A. N. Other'
out_has '    and why'
grep -Eq '^time: +20[0-9-]{8}T[0-9:]{8}\.[0-9]{6}Z$' out || fail 'a time in UTC' out
grep -Eq '^users +2 +0 +0 +created$' out || fail 'what it added' out
good ramet show s
out_has 'head of: main'
out_has "changes since @$second:"
grep -Eq '^images +1 +0 +0 +created$' out || fail 'a map' out
grep -Eq '^users +0 +1 +0 *$' out || fail 'a removal' out

claim 'show --diff: every entry, a line each'
good ramet show s main~1 --diff
grep -e '^[-+~]' out >lines
printf '%s\n' $'~\tusers\tada\tAda Lovelace\tAda King' $'+\tusers\ttab\ta\\tb' >wanted
same lines wanted
good ramet show s main -p
grep -e '^[-+~]' out >lines
printf '%s\n' $'+\timages' $'+\timages\tlogo\t\\xff' $'-\tusers\tgrace\tGrace Hopper' >wanted
same lines wanted

claim 'show --json has it all'
good ramet show s main~1 --json
[ "$(jq -c '[.id, .since, .message, .generation, .maps]' out)" = \
    "[$second,$first,\"the second\",2,[{\"map\":\"users\",\"added\":1,\"removed\":0,\"changed\":1,\
\"created\":false,\"dropped\":false}]]" ] || fail 'counts' out
[ "$(jq -c 'has("changes")' out)" = false ] || fail 'changes unasked' out
good ramet show s main~1 --diff --json
[ "$(jq -c '.changes | map([.change, .key])' out)" = '[["changed","ada"],["added","tab"]]' ] ||
    fail 'changes' out
good ramet show s @"$first" --json
[ "$(jq -c '[.names, .since, .heads]' out)" = '[["main@also","main@before"],null,[]]' ] ||
    fail 'names' out

claim 'show of a head that nobody keeps: what was committed since'
good ramet show s test
out_has 'kept by: nobody'
out_has "changes since @$tested:"
grep -Eq '^users +1 +0 +0 *$' out || fail 'one entry' out
fails 3 "'ramet branches s'" ramet show s nobody
fails 3 '' ramet show s @999999

claim 'a store without a kept version'
ramet create empty
good ramet log empty
out_is ''
good ramet show empty
out_has 'no changes'
on_terminal "$ramet log empty" >out
out_has "'ramet snapshot empty' keeps one"
good ramet log empty --json
out_is '[]'

claim 'colour on a terminal alone'
on_terminal "$ramet log s; $ramet show s -p" >out
grep -q $'\x1b\[33m@' out || fail 'no colour' out
good ramet log s
! grep -q $'\x1b' out || fail 'colour in a pipe' out
ramet snapshot s -b test -m $'esc\x1b[2J' >/dev/null
good ramet log s test -n 1
out_has 'esc\x1b[2J'

claim 'tag: any version by a name; the branch is the one that the ref names'
good ramet tag s v1
[ "$(ramet show s main@v1 --json | jq .id)" = "$third" ] || fail 'the head'
good ramet tag s v0 "@$second"
[ "$(ramet show s main@v0 --json | jq .id)" = "$second" ] || fail 'an id'
good ramet tag s old main~2 -b test
[ "$(ramet show s test@old --json | jq .id)" = "$first" ] || fail 'of another branch'
good ramet tag s again test@done
[ "$(ramet show s test@again --json | jq .id)" = "$tested" ] || fail 'its own branch'
good ramet tag s json test~1 --json
[ "$(jq -c '[.name, .id]' out)" = "[\"test@json\",$tested]" ] || fail 'JSON' out
ramet put s users moved x
good ramet tag s moved
[ "$(ramet get s users moved -b main@moved)" = x ] || fail 'a head that moved'

claim 'tag: what is wrong, and the remedy'
fails 3 "'ramet delete s main@v1'" ramet tag s v1
good ramet delete s main@v1
good ramet tag s v1
fails 3 "'ramet branches s'" ramet tag s x nobody
fails 3 "'ramet branches s'" ramet tag s x -b nobody
fails 3 '' ramet tag s 'a@b'
fails 3 '' ramet tag s ''

ramet create p
for i in 1 2 3 4 5 6; do
    ramet put p m "k$i" "v$i"
    ids[i]=$(keep p)
done
named=$(ramet put p m k7 v7 && keep p --name stays)

claim 'prune --dry-run lists what would go, and changes nothing'
good ramet prune p --keep-last 3 --dry-run
joined_is "@${ids[1]} @${ids[2]} @${ids[3]} @${ids[4]}"
good ramet prune p --keep-last 3 --dry-run --long
out_has "4 snapshots of 'main' would go"
[ "$(ramet snapshots p | wc -l)" = 7 ] || fail 'something went'
good ramet prune p --keep-last 3 --dry-run --json
[ "$(jq -c '[.branch, .count, .dry_run, (.snapshots | map(.id))]' out)" = \
    "[\"main\",4,true,[${ids[1]},${ids[2]},${ids[3]},${ids[4]}]]" ] || fail 'JSON' out

claim 'prune --keep-last: the newest stay; the space of the others is free'
good ramet prune p main --keep-last 3
joined_is "@${ids[1]} @${ids[2]} @${ids[3]} @${ids[4]}"
good ramet snapshots p
joined_is "@${ids[5]} @${ids[6]} @$named"
[ "$(ramet stat p --json | jq .unswept_bytes)" = 0 ] || fail 'something is unswept'
[ "$(ramet count p m)" = 7 ] || fail 'the head is as it was'

claim 'prune --older-than: ages and dates, and names only with --named'
good ramet prune p --older-than 1h
out_is ''
for age in 30d 12h 5m 2w 2026-01-01 '2026-01-01 12:30' 2026-01-01T12:30:59Z; do
    good ramet prune p --older-than "$age" --dry-run
    out_is ''
done
good ramet prune p --older-than 0s --keep-last 2 --dry-run
joined_is "@${ids[5]}"
good ramet prune p --older-than "$(date -u '+%F %T')Z" --dry-run --keep-last 7
out_is ''
good ramet prune p --older-than 0s --json
[ "$(jq -c '.snapshots | map(.id)' out)" = "[${ids[5]},${ids[6]}]" ] || fail 'without names' out
good ramet snapshots p
joined_is "@$named"
good ramet prune p --older-than 0s --named --long
out_has 'stays'
out_has "1 snapshot of 'main' is gone"
good ramet snapshots p
out_is ''

claim 'prune: what is wrong, and the remedy'
fails 2 '--older-than AGE, --keep-last N' ramet prune p
for age in yesterday '' 5 5x -1d 2026-02-30 2026-13-01 99999999999d; do
    fails 2 'takes an age' ramet prune p --older-than="$age"
done
fails 2 'still to come' ramet prune p --older-than 2199-01-01
fails 2 'above 0' ramet prune p --keep-last 0
fails 3 "'ramet branches p'" ramet prune p nobody --keep-last 1

claim 'the stores are sound'
sound s
sound p
