#!/bin/bash
# SPDX-License-Identifier: MIT
#
# One entry at a time: create, put, get, del, scan, count, maps, drop.
. "$(dirname "$0")/lib.sh"

claim 'create makes a store with an empty branch main, and says nothing'
good ramet create s
no_out
good ramet branches s
out_is 'main'
good ramet maps s
no_out

claim 'create does not touch what is there'
cp s before
fails 3 'is there already' ramet create s
same s before
echo text >file
fails 3 'is there already' ramet create file
[ "$(cat file)" = text ] || fail 'the file was changed'

claim 'create takes a page size, and refuses one that is none'
good ramet create large-pages --page-size 16384
run ramet stat large-pages --json
[ "$(jq .page_size out)" = 16384 ] || fail 'page size' out
for size in 1 5000 2048 131072 99999999999; do
    fails 3 '' ramet create wrong --page-size $size
    [ ! -e wrong ] || fail "page size $size left a file"
done

claim 'what is put is what get prints, byte for byte, and without a newline'
good ramet put s users ada 'Ada Lovelace'
no_out
good ramet get s users ada
printf 'Ada Lovelace' >wanted
out_is_file wanted

claim 'put replaces'
good ramet put s users ada 'Ada King'
good ramet get s users ada
out_is 'Ada King'

claim 'a value may be empty'
good ramet put s users nobody ''
good ramet get s users nobody
no_out

claim 'a value - is standard input, any bytes of any length'
head -c 3000000 /dev/urandom >random
good ramet put s blobs random - <random
good ramet get s blobs random
out_is_file random
good ramet put s blobs nothing - </dev/null
for size in 0 1048575 1048576 1048577 70000000; do
    head -c $size /dev/urandom >sized
    good ramet put s blobs sized - <sized
    good ramet get s blobs sized
    out_is_file sized
done
run bash -c "cat sized | '$ramet' put s blobs piped -"
is_status 0
good ramet get s blobs piped
out_is_file sized
good ramet del s blobs sized
good ramet del s blobs piped
good ramet get s blobs nothing
no_out

claim 'a value or key that begins with - goes after --, and one that is a number needs no care'
good ramet put s users -- -k -v
good ramet get s users -- -k
out_is '-v'
good ramet put s users debt -5
good ramet get s users debt
out_is '-5'
fails 2 "unknown option '-v'" ramet put s users k -v

claim 'keys and values are bytes as given: no escapes, any encoding'
good ramet put s odd $'\xff\xfe\t\\n' $'a\tb\nc'
good ramet get s odd $'\xff\xfe\t\\n'
printf 'a\tb\nc' >wanted
out_is_file wanted
good ramet put s odd 'clé' 'värde'
good ramet get s odd 'clé'
out_is 'värde'

claim 'an absent key: status 1, from get and from del'
fails 1 "no key 'bob'" ramet get s users bob
fails 1 "no key 'bob'" ramet del s users bob

claim 'an absent map: status 3, and a hint'
fails 3 "no map 'nobody'" ramet get s nobody k
fails 3 'ramet maps s' ramet del s nobody k
fails 3 "no map 'nobody'" ramet scan s nobody
fails 3 "no map 'nobody'" ramet dump s nobody
fails 3 "no map 'nobody'" ramet count s nobody
fails 3 "no map 'nobody'" ramet drop s nobody

claim 'del deletes'
good ramet del s users ada
no_out
fails 1 "no key 'ada'" ramet get s users ada

claim 'scan prints key, tab, value, in the order of bytes'
good ramet create t
for key in b a 'b c' B bb ba Z; do
    good ramet put t m "$key" "v-$key"
done
good ramet scan t m
printf '%s\tv-%s\n' B B Z Z a a b b 'b c' 'b c' ba ba bb bb >wanted
out_is_file wanted

claim 'scan of a prefix, with and without a limit'
good ramet scan t m b
printf '%s\tv-%s\n' b b 'b c' 'b c' ba ba bb bb >wanted
out_is_file wanted
good ramet scan t m b -n 2
head -n 2 wanted >wanted2
out_is_file wanted2
good ramet scan t m ba
out_is $'ba\tv-ba'
good ramet scan t m x
no_out

claim 'scan escapes what would break a line'
good ramet put t n $'k\t\n\r\\' $'\x01\x7f\xff\xc3\xa5\x1b[0m'
good ramet scan t n
printf '%s\t%s\n' 'k\t\n\r\\' '\x01\x7f\xffå\x1b[0m' >wanted
out_is_file wanted

claim 'count counts all, or those of a prefix'
good ramet count t m
out_is 7
good ramet count t m b
out_is 4
good ramet count t m x
out_is 0
good ramet put t m $'\xff\xff' top
good ramet count t m $'\xff'
out_is 1
good ramet count t m $'\xff\xff'
out_is 1

claim 'maps lists names into a pipe, and numbers with --long'
good ramet maps t
out_is $'m\nn'
good ramet maps t --long
out_has 'ENTRIES'
grep -q '^m  *8$' out || fail 'm has 8' out

claim 'drop drops a map with all it holds'
good ramet drop t m
good ramet maps t
out_is n
fails 3 "no map 'm'" ramet count t m

claim '-b writes another branch'
good ramet branch s test
good ramet put s users ada 'on test' -b test
good ramet get s users ada -b test
out_is 'on test'
fails 1 'no key' ramet get s users ada
good ramet put -b test s users eve first
good ramet get --branch=test s users eve
out_is first
good ramet del s users eve -btest
fails 1 "of 'test'" ramet get s users eve -b test

claim 'on a terminal get ends its line'
on_terminal "$ramet get s users debt" >out
printf -- '-5\r\n' >wanted
out_is_file wanted

claim '--sync none, lazy and full all leave the entry there'
for mode in none lazy full; do
    good ramet put s sync $mode $mode --sync $mode
done
good ramet scan s sync
out_is $'full\tfull\nlazy\tlazy\nnone\tnone'

claim 'the stores are sound'
sound s
sound t
sound large-pages
