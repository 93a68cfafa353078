#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Branches and snapshots: branch, branches, snapshot, snapshots, reset, delete, reclaim, stat.
. "$(dirname "$0")/lib.sh"

ramet create s
seq -f 'key%05g' 1 5000 | awk '{ print $1 "\tvalue of " $1 }' >five-thousand.tsv
ramet load s m five-thousand.tsv

claim 'a branch starts as its source is, and each goes its own way'
good ramet branch s left
good ramet branch s right
good ramet put s m key00001 left -b left
good ramet put s m key00001 right -b right
good ramet put s m only-left x -b left
good ramet get s m key00001
out_is 'value of key00001'
good ramet get s m key00001 -b left
out_is left
good ramet get s m key00001 -b right
out_is right
fails 1 'no key' ramet get s m only-left -b right

claim 'branches lists names into a pipe, and heads with --long'
good ramet branches s
sort out >sorted
printf '%s\n' left main right >wanted
same sorted wanted
good ramet branches s --long
out_has 'LAST COMMIT'
grep -q "^left .*@[0-9].*$(date +%Y)" out || fail 'left, with id and time' out

claim 'a snapshot prints its @ID, and is read by it and by its name'
run ramet snapshot s --name before -m 'before the change' --author 'A. N. Other'
is_status 0
id=$(cat out)
[[ $id =~ ^@[0-9]+$ ]] || fail 'it prints @ID' out
good ramet put s m key00001 after
good ramet get s m key00001 -b "$id"
out_is 'value of key00001'
good ramet get s m key00001 -b main@before
out_is 'value of key00001'
good ramet get s m key00001
out_is after

claim 'snapshots are listed with all they were given'
good ramet snapshots s main --long
out_has 'before the change'
out_has 'A. N. Other'
good ramet snapshots s main --json
[ "$(jq -r '.[-1] | .name + "/" + .author + "/" + .message + "/@" + (.id | tostring)' out)" = \
    "before/A. N. Other/before the change/$id" ] || fail 'as JSON' out
good ramet snapshots s main
grep -qx "$id" out || fail 'into a pipe: ids' out

claim 'a head that has not moved is the same snapshot'
run ramet snapshot s -b left
first=$(cat out)
run ramet snapshot s -b left
[ "$(cat out)" = "$first" ] || fail "first $first, then" out

claim 'a branch can start at a snapshot'
good ramet branch s old --from main@before
good ramet get s m key00001 -b old
out_is 'value of key00001'
good ramet branch s old2 --from "$id"
good ramet get s m key00001 -b old2
out_is 'value of key00001'
good ramet branch s from-left --from left
good ramet get s m key00001 -b from-left
out_is left

claim 'reset goes back to a snapshot'
good ramet reset s main main@before
good ramet get s m key00001
out_is 'value of key00001'

claim 'delete of a branch: it is gone, the others stay as they are'
ramet dump s m -b right >right-before
good ramet delete s left
fails 3 "left" ramet get s m key00001 -b left
fails 3 "left" ramet delete s left
ramet dump s m -b right >right-after
same right-before right-after
good ramet get s m only-left -b from-left
out_is x

claim 'delete of a snapshot: by name, by id'
good ramet delete s main@before
fails 3 'before' ramet get s m key00001 -b main@before
run ramet snapshot s -b right
good ramet delete s "$(cat out)"
sound s

claim 'delete gives space back'
ramet create big
seq 1 100000 | awk '{ print $1 "\tthe value of the number " $1 }' | ramet load big m
ramet branch big other
seq 1 100000 | awk '{ print $1 "\tanother value for " $1 }' | ramet load big m -b other
run ramet stat big --json
owned=$(jq '.branches[] | select(.name == "other") | .owned_bytes' out)
free_before=$(jq '.free_bytes + .limbo_bytes' out)
[ "$owned" -gt 2000000 ] || fail "other owns $owned bytes"
good ramet delete big other
good ramet reclaim big
run ramet stat big --json
free_after=$(jq '.free_bytes + .limbo_bytes' out)
[ "$(jq .unswept_bytes out)" = 0 ] || fail 'something is unswept' out
[ $((free_after - free_before)) -ge $((owned * 9 / 10)) ] ||
    fail "free $free_before, then $free_after, though it owned $owned"

claim 'what stat says adds up to the length of the file'
run ramet stat big --json
[ "$(jq '.file_bytes == .meta_bytes + .data_bytes + .unswept_bytes + .book_bytes + .limbo_bytes
    + .free_bytes + .hole_bytes' out)" = true ] || fail 'it does not' out
[ "$(jq .file_bytes out)" = "$(stat -c %s big)" ] || fail 'it is not the length' out

claim 'what a branch shares and owns is exact: nothing at first, then the pages it changed'
ramet create exact
ramet load exact m five-thousand.tsv
run ramet stat exact --json
whole=$(jq '.branches[0].owned_bytes + .branches[0].shared_bytes' out)
[ "$whole" -gt 100000 ] || fail "main has $whole bytes"
good ramet branch exact copy
run ramet stat exact --json
[ "$(jq '[.branches[] | .owned_bytes] == [0, 0]' out)" = true ] || fail 'one owns something' out
[ "$(jq "[.branches[] | .shared_bytes] == [$whole, $whole]" out)" = true ] ||
    fail 'not all is shared' out
good ramet put exact m key02500 changed -b copy
run ramet stat exact --json
owned=$(jq '.branches[] | select(.name == "copy") | .owned_bytes' out)
page=$(jq .page_size out)
[ "$owned" -ge "$page" ] && [ "$owned" -le $((page * 6)) ] || fail "copy owns $owned bytes" out

claim 'stat is a table of exact numbers, in units with --human, plain with --bytes'
good ramet stat big
out_has 'OWNED'
out_has 'ready for use'
grep -q '[0-9],[0-9][0-9][0-9],' out || fail 'numbers are grouped' out
good ramet stat big --human
grep -q 'MiB' out || fail 'in MiB' out
good ramet stat big --bytes
grep -qF "$(stat -c %s big)" out || fail 'plain digits' out

claim 'stat --bars draws each branch'
good ramet stat exact --bars
grep -q '^main .*█' out || fail 'a bar for main' out
LC_ALL=C good ramet stat exact --bars
grep -q '^main .*#####' out || fail 'in ASCII where there is no UTF-8' out

claim 'no such branch, no such snapshot, a snapshot where a branch is wanted'
for ref in nobody main@nobody @999999 @ main@ '@x' ''; do
    fails 3 '' ramet get s m key00001 -b "$ref"
    fails 3 '' ramet branch s new --from "$ref"
done
ramet snapshot s --name kept >/dev/null
fails 3 '' ramet put s m k v -b main@kept
fails 3 '' ramet reset s main nobody
fails 3 '' ramet reset s nobody main@kept
fails 3 '' ramet snapshot s -b nobody
fails 3 '' ramet snapshots s nobody
fails 3 '' ramet delete s main@nobody
fails 3 '' ramet delete s @999999

claim 'a branch and a snapshot that are there already'
fails 3 'right' ramet branch s right
ramet put s m again again
fails 3 'kept' ramet snapshot s --name kept

claim 'names: up to 255 bytes, no @, not empty; odd characters are shown escaped'
long=$(printf 'n%.0s' $(seq 255))
good ramet branch s "$long"
fails 3 '' ramet branch s "${long}n"
fails 3 '' ramet branch s ''
fails 3 '' ramet branch s 'a@b'
fails 3 '' ramet put s '' k v
fails 3 '' ramet put s "${long}n" k v
good ramet put s $'map with \xc3\xa5, spaces' k v
good ramet get s $'map with \xc3\xa5, spaces' k
out_is v
run ramet branch s $'esc\x1b[31m'
if [ $status = 0 ]; then
    good ramet branches s --long
    out_has 'esc\x1b[31m'
fi
! grep -q $'\x1b' out err || fail 'a raw escape on the terminal'

claim 'the stores are sound'
sound s
sound big
sound exact
