#!/bin/bash
# SPDX-License-Identifier: MIT
#
# How two versions differ: diff, its lines, counts and statuses.
. "$(dirname "$0")/lib.sh"

ramet create s
printf 'ada\tAda\nalan\tAlan\ngrace\tGrace\n' | ramet load s users
printf '1\tone\n' | ramet load s gone
ramet branch s test
ramet put s users ada 'Ada King' -b test
ramet put s users kurt Kurt -b test
ramet del s users grace -b test
ramet put s new k v -b test
ramet drop s gone -b test

claim 'a line for each difference: sign, map, key, values; maps that were made and dropped'
good ramet diff s main test
printf '%s\n' $'-\tgone\t1\tone' $'-\tgone' $'+\tnew' $'+\tnew\tk\tv' \
    $'~\tusers\tada\tAda\tAda King' $'-\tusers\tgrace\tGrace' $'+\tusers\tkurt\tKurt' >wanted
out_is_file wanted

claim 'the other way round it is the reverse'
good ramet diff s test main
printf '%s\n' $'+\tgone' $'+\tgone\t1\tone' $'-\tnew\tk\tv' $'-\tnew' \
    $'~\tusers\tada\tAda King\tAda' $'+\tusers\tgrace\tGrace' $'-\tusers\tkurt\tKurt' >wanted
out_is_file wanted

claim 'doing what it says to the old version makes it the new one'
ramet diff s main test users | while IFS=$'\t' read -r sign map key old new; do
    case $sign in
    +) ramet put s "$map" "$key" "$old" ;;
    -) ramet del s "$map" "$key" ;;
    '~') ramet put s "$map" "$key" "$new" ;;
    esac
done
good ramet diff s main test users
no_out
printf 'ada\tAda\nalan\tAlan\ngrace\tGrace\n' | ramet load s users
ramet del s users kurt

claim 'of one map, and of keys that begin with a prefix'
good ramet diff s main test new
out_is $'+\tnew\n+\tnew\tk\tv'
good ramet diff s main test users a
out_is $'~\tusers\tada\tAda\tAda King'
good ramet diff s main test users z
no_out

claim 'the same version, and one overwritten with the same bytes: nothing, status 0'
good ramet diff s main main
no_out
good ramet diff s test test --exit-code
no_out
ramet snapshot s --name same >/dev/null
ramet put s users ada Ada
good ramet diff s main@same main --exit-code
no_out

claim 'status 0 with differences too, and 1 with --exit-code or --quiet'
good ramet diff s main test users
run ramet diff s main test users --exit-code
is_status 1
out_has $'~\tusers\tada\tAda\tAda King'
run ramet diff s main test -q
is_status 1
no_out
good ramet diff s main@same main --quiet
no_out
run ramet diff s main test --stat --exit-code
is_status 1
out_has users

claim '--stat counts, by map and in all'
good ramet diff s main test --stat
cat >wanted <<END
   MAP    ADDED  CHANGED  REMOVED
-  gone       0        0        1
+  new        1        0        0
~  users      1        1        1
2 added, 1 changed, 2 removed; 1 map created; 1 map dropped
END
out_is_file wanted
good ramet diff s main main --stat
out_is 'no differences'
good ramet diff s main test users --stat
out_has '1 added, 1 changed, 1 removed'

claim '--json: a line for each, or one object with --stat'
good ramet diff s main test --json
cat >wanted <<END
{"change":"removed","map":"gone","key":"1","old":"one"}
{"change":"map dropped","map":"gone"}
{"change":"map created","map":"new"}
{"change":"added","map":"new","key":"k","new":"v"}
{"change":"changed","map":"users","key":"ada","old":"Ada","new":"Ada King"}
{"change":"removed","map":"users","key":"grace","old":"Grace"}
{"change":"added","map":"users","key":"kurt","new":"Kurt"}
END
out_is_file wanted
jq -e . out >/dev/null || fail 'it is JSON' out
good ramet diff s main test --stat --json
[ "$(jq -c '[.added, .changed, .removed, .maps_created, .maps_dropped]' out)" = '[2,1,2,1,1]' ] ||
    fail 'in all' out
[ "$(jq -c '.maps | map([.map, .is, .added, .changed, .removed])' out)" = \
    '[["gone","dropped",0,0,1],["new","created",1,0,0],["users","changed",1,1,1]]' ] ||
    fail 'by map' out
good ramet diff s main main --stat --json
[ "$(jq -c '[.maps, .added]' out)" = '[[],0]' ] || fail 'none' out

claim 'bytes of any kind are escaped as in TSV, and in base64 in JSON'
ramet branch s odd
printf 'a\\tb\tline\\nline \\\\ \\xff\n' | ramet load s odd -b odd
ramet put s odd empty '' -b odd
good ramet diff s main odd odd
printf '%s\n' $'+\todd' $'+\todd\ta\\tb\tline\\nline \\\\ \\xff' $'+\todd\tempty\t' >wanted
out_is_file wanted
good ramet diff s main odd odd --json
sed 1d out | jq -r '[.key, .new_base64 // .new] | join("/")' >values
printf 'a\tb/%s\nempty/\n' "$(printf 'line\nline \\ \xff' | base64)" >wanted
same values wanted

claim 'versions by any name: snapshots, ids, the head before'
id=$(ramet snapshots s | head -n 1)
good ramet diff s "$id" test users
out_has $'+\tusers\tkurt\tKurt'
good ramet diff s main@same test users a
out_is $'~\tusers\tada\tAda\tAda King'

claim 'what is not there: a store, a version, a map'
fails 3 "'ramet create' makes a store" ramet diff nowhere main test
fails 3 "'ramet branches' and 'ramet snapshots' list what there is" ramet diff s main nobody
fails 3 "no map 'usres' in 'main', nor in 'test'; 'ramet maps s -b REF' lists them" \
    ramet diff s main test usres
fails 2 'usage: ramet diff' ramet diff s main
[ ! -e nowhere ] || fail 'a store was made'

claim 'values too large for a slice are written whole'
ramet create huge
ramet put huge m small x
ramet branch huge next
head -c 70000000 /dev/zero | tr '\0' a | ramet put huge m large - -b next
ramet put huge m z end -b next
good ramet diff huge main next
[ "$(wc -c <out)" = $((10 + 70000000 + 1 + 10)) ] || fail "$(wc -c <out) bytes"
[ "$(tail -n 1 out)" = $'+\tm\tz\tend' ] || fail 'it goes on behind it'
good ramet diff huge main next --stat
out_has '2 added'
rm huge out

claim 'colour on a terminal alone'
good ramet diff s main test
! grep -q $'\x1b' out || fail 'colour in a pipe' out
on_terminal "$ramet diff s main test" >out
grep -q $'^\x1b\[32m+\tnew' out || fail 'green for what is new' out
grep -q $'^\x1b\[31m-\tusers\tgrace' out || fail 'red for what is gone' out
grep -q $'^\x1b\[33m~\tusers\tada\x1b\[31m\tAda\x1b\[32m\tAda King' out ||
    fail 'yellow for what is other' out
on_terminal "NO_COLOR=1 $ramet diff s main test" >out
! grep -q $'\x1b' out || fail 'colour though NO_COLOR is set' out

claim 'it streams, and ends quietly when nobody reads'
seq 1 300000 | ramet load s big -b test --format tsv 2>/dev/null
seq 1 300000 | awk '{ print $1 "\tvalue" }' | ramet load s big -b test
{
    ramet diff s main test 2>err
    echo $? >status
} | head -n 1 >out
out_is $'+\tbig'
[ "$(cat status)" = 141 ] || fail "status $(cat status)" err
[ ! -s err ] || fail 'it said something' err
if [ -w /dev/full ]; then
    "$ramet" diff s main test >/dev/full 2>err
    [ $? = 3 ] || fail 'a full disk' err
    err_has 'No space left'
fi

claim 'a store that can only be read is enough, and nothing was changed'
chmod a-w s
run ramet diff s main test --quiet
is_status 1
chmod u+w s
sound s
