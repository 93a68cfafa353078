#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bringing versions together: merge, conflicts, resolve, cherry-pick, revert.
. "$(dirname "$0")/lib.sh"

# A store with a branch test that has moved, main with it or not. $1: its name.
fork()
{
    ramet create "$1"
    printf 'ada\tAda\nalan\tAlan\ngrace\tGrace\n' | ramet load "$1" users
    printf 'home\t100\n' | ramet load "$1" hits
    ramet snapshot "$1" --name start >/dev/null
    ramet branch "$1" test
    ramet put "$1" users ada Countess -b test
    ramet del "$1" users grace -b test
    ramet put "$1" users kurt Kurt -b test
    ramet put "$1" hits home 107 -b test
}

fork_both()
{
    fork "$1"
    ramet put "$1" users ada 'Ada King'
    ramet put "$1" users grace 'Grace Hopper'
    ramet put "$1" hits home 103
}

# What three conflicts of fork_both look like.
cat >three <<END
hits	home
  base   = 100
  ours   = 103
  theirs = 107
users	ada
  base   = Ada
  ours   = Ada King
  theirs = Countess
users	grace
  base   = Grace
  ours   = Grace Hopper
  theirs (absent)
END

# What main has of a map, on a line. $1: store; $2: map; $3: branch.
has()
{
    ramet scan "$1" "$2" -b "${3-main}" | tr '\t\n' '=;'
}

# $1: what has() must say; then its arguments.
has_just()
{
    local wanted=$1
    shift
    [ "$(has "$@")" = "$wanted" ] || fail "not '$wanted' but '$(has "$@")'"
}

head_of()
{
    ramet branches "$1" --json | jq -r ".[] | select(.name == \"$2\") | .head"
}

claim 'a branch that has not moved takes over the source: fast-forward, then up to date'
fork ff
run ramet merge ff test --dry-run
is_status 0
out_is 'would fast-forward main to test: 4 entries changed'
ramet branch ff copy
good ramet merge ff test --into copy -v
[ "$(head -n 1 out)" = $'~\thits\thome\t100\t107' ] || fail 'what is changed' out
[ "$(tail -n 1 out)" = "fast-forwarded copy to test: @$(head_of ff copy), 4 entries changed" ] ||
    fail 'and how many' out
good ramet merge ff test
out_is "fast-forwarded main to test: @$(head_of ff main)"
has_just 'ada=Countess;alan=Alan;kurt=Kurt;' ff users
good ramet merge ff test
out_is 'main is up to date with test'
good ramet diff ff main test --exit-code

claim 'a message for what makes no version is not dropped in silence; with --no-ff it is kept'
ramet put ff users x y -b test
run ramet merge ff test -m 'why'
is_status 0
err_has '--no-ff makes one'
ramet put ff users x z -b test
good ramet merge ff test --no-ff -m 'on purpose' --author 'A. N. Other' --name merged
out_is "merged test into main: @$(head_of ff main), 1 entry changed"
run ramet snapshots ff main --json
[ "$(jq -r '.[-1] | .name + "/" + .author + "/" + .message + "/" + (.parents | length | tostring)' \
    out)" = 'merged/A. N. Other/on purpose/2' ] || fail 'name, author, message, parents' out

claim 'both moved, apart: merged entry by entry, and it says what it was'
fork apart
ramet put apart users alan Turing
good ramet merge apart test
out_is "merged test into main: @$(head_of apart main), 4 entries changed"
has_just 'ada=Countess;alan=Turing;kurt=Kurt;' apart users
[ "$(ramet snapshots apart main --json | jq -r '.[-1].message')" = 'merge test' ] ||
    fail 'a message of its own'

claim 'conflicts: all, with three values each; status 1, the remedy, and nothing was changed'
fork_both s
before=$(head_of s main)
run ramet merge s test
is_status 1
out_is_file three
err_has '3 conflicts, and nothing was changed'
err_has '--policy [MAP[/PREFIX]=]POLICY'
err_has '--keep-conflicts'
[ "$(head_of s main)" = "$before" ] || fail 'the head moved'
has_just 'ada=Ada King;alan=Alan;grace=Grace Hopper;' s users
run ramet merge s test --dry-run
is_status 1
{
    cat three
    echo 'would merge test into main: 1 entry changed, 3 conflicts'
} >wanted
out_is_file wanted

claim '--verbose prints each change, in the order of keys, with the conflicts'
run ramet merge s test --dry-run -v --policy hits=counter --policy users/a=theirs
is_status 1
cat >wanted <<END
~	hits	home	103	110
~	users	ada	Ada King	Countess
users	grace
  base   = Grace
  ours   = Grace Hopper
  theirs (absent)
+	users	kurt	Kurt
would merge test into main: 3 entries changed, 1 conflict
END
out_is_file wanted
run ramet merge s test --dry-run -v --policy theirs --json
is_status 0
[ "$(head -n 3 out)" = '{"change":"changed","map":"hits","key":"home","old":"103","new":"107"}
{"change":"changed","map":"users","key":"ada","old":"Ada King","new":"Countess"}
{"change":"removed","map":"users","key":"grace","old":"Grace Hopper"}' ] || fail 'lines of JSON' out
[ "$(tail -n 1 out | jq .changes)" = 4 ] || fail 'four' out

claim 'conflicts in JSON: a line each, then what came of it'
run ramet merge s test --json
is_status 1
[ "$(sed -n 2p out)" = \
    '{"map":"users","key":"ada","base":"Ada","ours":"Ada King","theirs":"Countess"}' ] ||
    fail 'three values' out
[ "$(sed -n 3p out | jq -c .theirs)" = null ] || fail 'absent is null' out
[ "$(tail -n 1 out | jq -c '[.into, .from, .done, .conflicts, .fast_forward, .up_to_date]')" = \
    '["main","test",false,3,false,false]' ] || fail 'the result' out

claim 'a dry run, conflicts and a diff take no right to write'
mkdir locked
cp s locked/s
chmod 444 locked/s
chmod 555 locked
if as_nobody "$ramet" version >/dev/null 2>&1; then
    good as_nobody "$ramet" merge locked/s test --dry-run --policy ours
    out_is 'would merge test into main: 1 entry changed'
    good as_nobody "$ramet" conflicts locked/s
    run as_nobody "$ramet" diff locked/s main test --quiet
    is_status 1
    fails 3 'permission' as_nobody "$ramet" merge locked/s test --policy ours
    same s locked/s
else
    skip_claim 'another user cannot run ramet here'
fi
chmod 755 locked

claim 'policies decide: of all, of a map, of keys with a prefix; the first that fits'
run ramet merge s test --policy users=theirs
is_status 1
[ "$(grep -v '^ ' out)" = $'hits\thome' ] || fail 'hits are left' out
run ramet merge s test --policy users/a=ours --policy hits=counter
is_status 1
[ "$(grep -v '^ ' out)" = $'users\tgrace' ] || fail 'grace is left' out
run ramet merge s test --policy /a=ours --policy hits=max --policy theirs --dry-run
is_status 0
out_is 'would merge test into main: 3 entries changed'
good ramet merge s test --policy users/g=theirs --policy users=ours --policy hits=counter
out_is "merged test into main: @$(head_of s main), 3 entries changed"
has_just 'ada=Ada King;alan=Alan;kurt=Kurt;' s users
has_just 'home=110;' s hits

claim 'each policy is the one of its name'
for policy in ours=5 theirs=12 counter=15 max=12 min=5; do
    ramet create "by-$policy"
    ramet put "by-$policy" m k 2
    ramet branch "by-$policy" test
    ramet put "by-$policy" m k 5
    ramet put "by-$policy" m k 12 -b test
    good ramet merge "by-$policy" test --policy "${policy%=*}"
    has_just "k=${policy#*=};" "by-$policy" m
done
ramet create by-set
printf 'k\ta\\nb\\nc\\n\n' | ramet load by-set m
ramet branch by-set test
printf 'k\ta\\nc\\nd\\n\n' | ramet load by-set m
printf 'k\ta\\nb\\nc\\ne\\n\n' | ramet load by-set m -b test
good ramet merge by-set test --policy m=set
has_just 'k=a\nc\nd\ne\n;' by-set m
ramet create by-64
for key in c m; do
    printf '\x01\0\0\0\0\0\0\0' | ramet put by-64 $key k -
done
ramet branch by-64 test
for key in c m; do
    printf '\x05\0\0\0\0\0\0\0' | ramet put by-64 $key k - -b test
    printf '\x0b\0\0\0\0\0\0\0' | ramet put by-64 $key k -
done
good ramet merge by-64 test --policy c=counter64 --policy m=max64
has_just 'k=\x0f\x00\x00\x00\x00\x00\x00\x00;' by-64 c
has_just 'k=\x0b\x00\x00\x00\x00\x00\x00\x00;' by-64 m

claim 'texts are merged by lines, where libgit2 is'
ramet create by-text
seq 9 | ramet put by-text m k -
ramet branch by-text test
seq 9 | sed 's/2/two/' | ramet put by-text m k -
seq 9 | sed 's/8/eight/' | ramet put by-text m k - -b test
run ramet merge by-text test --policy text
if [ $status = 3 ] && grep -q 'takes libgit2: install it' err; then
    skip_claim 'it is not here'
else
    is_status 0
    has_just 'k=1\ntwo\n3\n4\n5\n6\n7\neight\n9\n;' by-text m
fi

claim 'a map whose name has a slash, and a prefix with an equals sign'
ramet create slash
for map in app app/users; do
    ramet put slash $map k=1 base
done
ramet branch slash test
for map in app app/users; do
    ramet put slash $map k=1 main
    ramet put slash $map k=1 test -b test
done
run ramet merge slash test --policy app/users=theirs
is_status 1
[ "$(grep -v '^ ' out)" = $'app\tk=1' ] || fail 'app is left' out
good ramet merge slash test --policy app/users/k=1=theirs --policy app/k==ours
has_just 'k=1=main;' slash app
has_just 'k=1=test;' slash app/users

claim 'a policy of no map that there is: it is said'
ramet put slash app other x -b test
run ramet merge slash test --policy ap=ours
is_status 0
err_has "no map or disk 'ap' in 'main', nor in 'test'"

claim 'wrong policies: before anything is opened'
fails 2 "no policy 'thiers'; did you mean 'theirs'?" ramet merge none test --policy thiers
fails 2 "no policy 'newest'; there are fail, ours" ramet merge none test --policy users=newest
fails 2 "before '='" ramet merge none test --policy =ours
fails 2 "no policy ''" ramet merge none test --policy users=

claim '--keep-conflicts: what can be is merged, the rest is recorded; status 1'
fork_both k
run ramet merge k test --keep-conflicts -m 'half done'
is_status 1
sed '$d' out >first
same first three
[ "$(tail -n 1 out)" = \
    "merged test into main: @$(head_of k main), 1 entry changed, 3 conflicts" ] ||
    fail 'what was done' out
err_has "'ramet conflicts k main' lists them"
has_just 'ada=Ada King;alan=Alan;grace=Grace Hopper;kurt=Kurt;' k users

claim 'conflicts lists what was recorded, of main or another branch'
good ramet conflicts k
out_is_file three
good ramet conflicts k main --json
[ "$(jq -c '[.map, .key, .base, .ours, .theirs]' out | tail -n 1)" = \
    '["users","grace","Grace","Grace Hopper",null]' ] || fail 'as JSON' out
good ramet conflicts k test
no_out

claim 'till they are resolved the branch cannot be merged or kept, and it says what to do'
fails 3 "'ramet conflicts' lists them" ramet merge k test
fails 3 "'ramet conflicts' lists them" ramet merge k main --into test
fails 3 "'ramet resolve' decides them" ramet snapshot k

claim 'resolve: by one of the three, by a value, by none; it says what is left'
good ramet resolve k users ada --theirs
out_is '2 conflicts left in main'
has_just 'ada=Countess;alan=Alan;grace=Grace Hopper;kurt=Kurt;' k users
fails 1 "no conflict at key 'ada' in map 'users' of 'main'; 'ramet conflicts k main' lists them" \
    ramet resolve k users ada --ours
good ramet resolve k users grace --delete
out_is '1 conflict left in main'
good ramet resolve k hits home --value 110 --json
[ "$(jq -c '[.resolved, .left, .id]' out)" = "[1,0,$(head_of k main)]" ] || fail 'JSON' out
has_just 'ada=Countess;alan=Alan;kurt=Kurt;' k users
has_just 'home=110;' k hits
good ramet conflicts k
no_out
good ramet merge k test
out_is 'main is up to date with test'
run ramet snapshot k -m 'all done'
is_status 0

claim 'resolve: as it is, as it was, all of a map, all; a value from standard input; -b'
fork_both r
ramet merge r main --into test --keep-conflicts >/dev/null 2>&1
ramet put r users ada 'Lady Ada' -b test
good ramet resolve r users ada --as-is -b test
out_is '2 conflicts left in test'
good ramet resolve r users grace --base -b test
has_just 'ada=Lady Ada;alan=Alan;grace=Grace;kurt=Kurt;' r users test
printf 'from a pipe' | ramet resolve r hits home --value - -b test >out
out_is 'no conflicts left in test'
has_just 'home=from a pipe;' r hits test
fork_both a
ramet merge a test --keep-conflicts >/dev/null 2>&1
good ramet resolve a users --all --theirs
out_is '1 conflict left in main'
has_just 'ada=Countess;alan=Alan;kurt=Kurt;' a users
has_just 'home=103;' a hits
good ramet resolve a --all --ours
out_is 'no conflicts left in main'
good ramet resolve a --all --ours
out_is 'no conflicts left in main'

claim 'resolve: wrong usage'
fails 2 'give one of --ours' ramet resolve a users ada
fails 2 'give just one of --ours' ramet resolve a users ada --ours --theirs
fails 2 'KEY is missing' ramet resolve a users --ours
fails 2 'MAP KEY is missing' ramet resolve a --ours
fails 2 'one of them is too much' ramet resolve a users ada --all --ours
fails 2 'not for --all' ramet resolve a --all --value x

claim 'cherry-pick does one change to another branch, with its message and author'
fork c
ramet put c users ada First
ramet snapshot c --name first -m 'the first' --author Ada >/dev/null
ramet put c users alan Second
ramet snapshot c --name second -m 'the second' --author Alan >/dev/null
good ramet cherry-pick c main@second --into test
out_is "picked main@second into test: @$(head_of c test), 1 entry changed"
has_just 'ada=Countess;alan=Second;kurt=Kurt;' c users test
[ "$(ramet snapshots c test --json | jq -r '.[-1] | .author + "/" + .message')" = \
    'Alan/the second' ] || fail 'message and author'
good ramet cherry-pick c main@second --into test
out_is 'test has the changes already of main@second'
run ramet cherry-pick c main@first --into test
is_status 1
out_is $'users\tada\n  base   = Ada\n  ours   = Countess\n  theirs = First'
good ramet cherry-pick c main@first --into test --policy theirs -m 'my own words'
has_just 'ada=First;alan=Second;kurt=Kurt;' c users test
[ "$(ramet snapshots c test --json | jq -r '.[-1].message')" = 'my own words' ] ||
    fail 'a message given'

claim 'revert undoes one change, and later ones stay'
good ramet revert c main@first --dry-run
out_is 'would revert main@first on main: 1 entry changed'
has_just 'ada=First;alan=Second;grace=Grace;' c users
good ramet revert c main@first
out_is "reverted main@first on main: @$(head_of c main), 1 entry changed"
has_just 'ada=Ada;alan=Second;grace=Grace;' c users
first=$(ramet snapshots c main --json | jq '.[] | select(.name == "first") | .id')
[ "$(ramet snapshots c main --json | jq -r '.[-1].message')" = "revert @$first: the first" ] ||
    fail 'its message' out
good ramet revert c main@first
out_is 'main has nothing left to revert of main@first'
ramet put c users alan Third
run ramet revert c main@second
is_status 1
out_is $'users\talan\n  base   = Second\n  ours   = Third\n  theirs = Alan'
run ramet revert c main@second -b test
is_status 0
has_just 'ada=First;alan=Alan;kurt=Kurt;' c users test

claim 'JSON of each, when it is done'
json()
{
    local filter=$1
    shift
    good ramet "$@" --json
    jq -e "$filter" out >/dev/null || fail "no $filter from: $*" out
}
fork j
ramet put j users alan Turing
json '.done == false and .changes == 4 and .up_to_date == false' merge j test --dry-run
json '.done and .id > 0 and .base > 0 and .changes == 4 and .conflicts == 0' merge j test
json '.up_to_date and .done == false' merge j test
ramet put j users new one
ramet snapshot j --name one >/dev/null
json '.done and .into == "test" and .changes == 1' cherry-pick j main@one --into test
json '.done and .changes == 1 and .from == "main@one"' revert j main@one
fork jf
json '.fast_forward and .done and .changes == null and .base > 0' merge jf test

claim 'what is not there: a branch, a version; a snapshot to merge into'
fails 3 "'ramet branches' and 'ramet snapshots' list what there is" ramet merge s nobody
fails 3 'nobody' ramet merge s test --into nobody
fails 3 'main@start' ramet merge s test --into main@start
fails 3 'main@nobody' ramet cherry-pick s main@nobody
fails 3 'main@nobody' ramet revert s main@nobody
fails 3 "'ramet create' makes a store" ramet merge nowhere test
[ ! -e nowhere ] || fail 'a store was made'

ramet create slow
ramet put slow m k v
ramet branch slow test
seq 1 400000 | awk '{ print $1 "\tvalue" }' | ramet load slow m -b test
ramet put slow other k v
ramet branch slow again

claim 'values too large to be compared by a policy: it says which, and what decides it'
ramet create huge
ramet put huge m small x
ramet branch huge test
head -c 70000000 /dev/zero | ramet put huge m large -
ramet put huge m large y -b test
fails 3 "both changed the key 'large' of map 'm', and of values above 64 MiB only" \
    ramet merge huge test
good ramet merge huge test --policy theirs -v
[ "$(head -n 1 out)" = $'~\tm\tlarge\t\\...\ty' ] || fail 'a value that is not shown' out
has_just 'large=y;small=x;' huge m
rm huge

claim 'interrupted: nothing was changed'
before=$(head_of slow main)
"$ramet" merge slow test >out 2>err &
until ! kill -0 $! 2>/dev/null || # it reads what it merges
    [ "$(ramet stat slow --json | jq '.readers | length')" != 0 ]; do
    :
done
kill -TERM $! 2>/dev/null
wait $!
status=$?
if [ $status = 130 ]; then
    [ "$(head_of slow main)" = "$before" ] || fail 'the head moved' err
    err_has 'interrupted; nothing was changed'
    no_out
    run ramet diff slow main test -q
    is_status 1
else
    is_status 0 # it was done before
fi

claim 'progress is shown on a terminal alone'
good ramet merge slow test
ms=$(date +%s%3N)
on_terminal "$ramet merge slow test --into again" >out
ms=$(($(date +%s%3N) - ms))
out_has 'merged test into again'
[ $ms -lt 500 ] || grep -q 'merge  [0-9,]* entries' out || fail "none in $ms ms" out

claim 'the stores are sound'
for store in ff apart s k r a c j jf slow; do
    sound $store
done
