#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The branches of a store, drawn: graph.
. "$(dirname "$0")/lib.sh"

# $1: a branch; then options of snapshot. A version more of it.
step()
{
    ramet put s users "key$((++nr))" "value $nr" -b "$1" && ramet snapshot s -b "$@" >/dev/null
}
nr=0

# Two branches, one of them from the other; the second is merged into main.
ramet create s
seq -f 'key%05g' 1 2000 | awk '{ print $1 "\tvalue of " $1 }' | ramet load s users 2>/dev/null
ramet snapshot s --name base -m 'the base' >/dev/null
ramet branch s left
step main --name v1
step left -m $'to the left\nand on'
ramet branch s deeper --from left
step deeper
step left --name done
ramet merge s left --name v2 >/dev/null
ramet branch s idle
ramet put s users new x

# What is drawn, without ids and figures.
drawn()
{
    sed -E 's/@[0-9]+/@/g; s/: [^]]* shared, [^]]* own\]/]/' out >drawing
}

claim 'where branches parted and merged, and what is called what'
good ramet graph s
drawn
cat >wanted <<'EOF'
○      @ [main]
●      @ [idle] main@v2 merged @  merge left
├─╮
● │    @ main@v1
│ ●    @ [left] left@done
│ │ ●  @ [deeper]
│ ├─╯
│ ●    @  to the left
├─╯
●      @ main@base  the base
EOF
same drawing wanted

claim 'in ASCII where there is no UTF-8'
LC_ALL=C good ramet graph s
drawn
cat >wanted <<'EOF'
o      @ [main]
*      @ [idle] main@v2 merged @  merge left
|-\
* |    @ main@v1
| *    @ [left] left@done
| | *  @ [deeper]
| |-/
| *    @  to the left
|-/
*      @ main@base  the base
EOF
same drawing wanted

claim 'colour on a terminal alone'
! grep -q $'\x1b' out || fail 'colour in a pipe' out
on_terminal "$ramet graph s" >out
grep -q $'\x1b\[34m' out || fail 'no colour' out

claim 'as JSON: what stands on what, what merged what'
good ramet graph s --json
jq -r '(.versions | map({key: (.id | tostring), value: (.names[0] // .heads[0] // "-")}) |
    from_entries) as $called | .versions[] |
    "\($called[.id | tostring]) \($called[.below | tostring]) \($called[.merged | tostring])"' \
    out >links
cat >wanted <<'EOF'
main main@v2 null
main@v2 main@v1 left@done
main@v1 main@base null
left@done - null
deeper - null
- main@base null
main@base null null
EOF
same links wanted
[ "$(jq -c '[.versions[].kept]' out)" = '[false,true,true,true,true,true,true]' ] || fail 'kept' out
[ "$(jq -c '.versions[1].heads' out)" = '["idle"]' ] || fail 'a head' out

claim 'what a branch has alone is what deleting it gives back, to the byte'
good ramet graph s --json
cp out graph.json
for branch in deeper left idle; do
    cp s copy
    before=$(ramet stat copy --json | jq .data_bytes)
    good ramet delete copy $branch
    after=$(ramet stat copy --json | jq .data_bytes)
    own=$(jq ".branches[] | select(.name == \"$branch\") | .own_bytes" graph.json)
    [ $((before - after)) = "$own" ] || fail "$branch has $own, and $((before - after)) came back"
done
own=$(jq '.branches[] | select(.name == "left") | .own_bytes' graph.json)
[ "$own" -gt 0 ] || fail 'left has something'

claim 'long runs are folded; --all unfolds them'
ramet branch s long --from main@base
for _ in 1 2 3 4 5 6 7; do
    step long
done
good ramet graph s
grep -q '┊.*: 5 versions$' out || fail 'five are one' out
lines=$(wc -l <out)
good ramet graph s --all
! grep -q versions out || fail 'folded' out
[ "$(wc -l <out)" = $((lines + 4)) ] || fail 'four more' out

claim 'a merge of what is not the newest any more has a line of its own'
ramet create two
ramet snapshot two --name zero >/dev/null
ramet branch two side
for i in 1 2; do
    ramet put two m side$i x -b side
    ramet snapshot two -b side --name s$i >/dev/null
done
ramet put two m main x
ramet merge two side@s1 --name merged >/dev/null
ramet put two m side3 x -b side
ramet snapshot two -b side --name s3 >/dev/null
good ramet graph two
drawn
cat >wanted <<'EOF'
●      @ [main] main@merged merged @  merge side@s1
├───╮
│ ● │  @ [side] side@s3
│ ● │  @ side@s2
│ ├─╯
│ ●    @ side@s1
├─╯
●      @ main@zero
EOF
same drawing wanted

claim 'snapshots that no head stands on any more'
ramet create back
for i in 1 2 3; do
    ramet put back m k $i
    ramet snapshot back --name n$i >/dev/null
done
ramet reset back main main@n1
good ramet graph back
drawn
cat >wanted <<'EOF'
  ●  @ main@n3
  ●  @ main@n2
╭─╯
●    @ [main] main@n1
EOF
same drawing wanted

claim 'an empty store'
ramet create empty
good ramet graph empty
out_has '[main: '
good ramet graph empty --svg

claim '--svg is a picture: well-formed, with every branch, its figures and names'
ramet branch s $'<&">' --from main@base
good ramet graph s --svg
cp out picture.svg
grep -q '^<svg xmlns="http://www.w3.org/2000/svg"' out || fail 'no SVG' out
for branch in main left deeper idle long '&lt;&amp;&quot;&gt;'; do
    grep -qF ">$branch</text>" out || fail "no $branch"
done
grep -qF '>base</text>' out || fail 'no name of a snapshot'
grep -Eq '[0-9.]+ [KM]iB shared' out || fail 'no figures'
if command -v xmllint >/dev/null; then
    run xmllint --noout picture.svg
    is_status 0
elif command -v python3 >/dev/null; then
    run python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' picture.svg
    is_status 0
fi
good ramet graph s other.svg --svg
no_out
same other.svg picture.svg

claim '--dot is the source of a picture'
good ramet graph s --dot
grep -q '^digraph "s" {$' out || fail 'no graph' out
grep -q 'label="@[0-9]*\\nmain@v2"' out || fail 'no version' out
cp out graph.dot

claim 'dot takes it'
if command -v dot >/dev/null; then
    run dot -Tsvg graph.dot
    is_status 0
    grep -q 'main@v2' out || fail 'a name' out
else
    skip_claim 'no dot here: graphviz has it'
fi

claim 'what is wrong, and the remedy'
fails 2 'say --svg or --dot' ramet graph s picture.svg
fails 2 'one of --svg, --dot and --json' ramet graph s --svg --json
fails 3 "'empty' is a store" ramet graph s empty --svg
fails 3 'No such file' ramet graph s nowhere/graph.svg --svg
fails 3 "'ramet create'" ramet graph nowhere
sound empty
run ramet graph s /dev/full --svg
is_status 3
err_has 'No space left'

claim 'a store of a hundred branches'
ramet create hundred
ramet put hundred m k v
for i in $(seq 100); do
    echo "branch $i"
    ramet branch hundred b$i --from "$([ $i -gt 10 ] && echo b$((i / 10)) || echo main)"
    [ $((i % 2)) = 0 ] || ramet put hundred m k$i v -b b$i
done >/dev/null
good ramet graph hundred
for i in $(seq 100); do
    grep -Eq "[[ ]b$i[,:]" out || fail "no b$i"
done
[ "$(ramet graph hundred --json | jq '.branches | length')" = 101 ] || fail 'all of them'
good ramet graph hundred --svg
[ "$(grep -c 'class="b"' out)" = 101 ] || fail 'a name for each'
