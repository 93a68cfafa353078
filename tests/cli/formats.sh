#!/bin/bash
# SPDX-License-Identifier: MIT
#
# TSV, JSON lines and the dump format of LMDB: what goes in comes out, whatever the bytes.
. "$(dirname "$0")/lib.sh"

# Every byte, in keys and values, alone and in company; as TSV with everything escaped.
awk 'BEGIN {
    for (i = 0; i < 256; i++) {
        printf "\\x%02x\t\\x%02x\\x%02X\n", i, i, i
        printf "key \\x%02x\\xff\\xc3\\xa5\tv\\x00\\x0a\\x0d\\x09\\x5c\\xe2\\x82\\x%02x\n", i, i
    }
    printf "empty\t\n"
}' >nasty.tsv
cat >>nasty.tsv <<'END'
quotes "\\" and {"json": true}	"\\"
 starts with a space	 and so does this
DATA=END	HEADER=END
åäö€😀	\xf0\x9f\x98\x80 \xed\xa0\x80 \xc0\x80 \xf5\x80\x80\x80 \xc2\x9b
END
awk 'BEGIN { printf "long\t"; for (i = 0; i < 200000; i++) printf "0123456789"; print "" }' \
    >>nasty.tsv

claim 'TSV: nasty bytes go in, come out in key order, and go in again the same'
ramet create s
good ramet load s m nasty.tsv
good ramet dump s m
cp out canonical.tsv
good ramet count s m
out_is "$(wc -l <nasty.tsv)"
good ramet load s again canonical.tsv
good ramet dump s again
out_is_file canonical.tsv
! LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' canonical.tsv || fail 'a raw control character'

claim 'TSV: each escape is written as promised'
ramet create t
good ramet put t m k $'tab\tnewline\nreturn\rslash\\bell\adel\x7fbad\xfff\xc3\xa5'
good ramet dump t m --format tsv
printf '%s\t%s\n' k 'tab\tnewline\nreturn\rslash\\bell\x07del\x7fbad\xfffå' >wanted
out_is_file wanted

claim 'TSV: upper-case hex and raw bytes are read too'
printf 'k\\xC3\\xa5\traw \xff\n' | ramet load t n
good ramet get t n 'kå'
printf 'raw \xff' >wanted
out_is_file wanted

claim 'JSON lines: nasty bytes go in and out the same'
good ramet dump s m --format jsonl
cp out dump.jsonl
jq -es length dump.jsonl >/dev/null || fail 'jq does not read it' dump.jsonl
good ramet load s from-json dump.jsonl
good ramet dump s from-json
out_is_file canonical.tsv
good ramet scan s m --json
out_is_file dump.jsonl
good ramet dump s m --json
out_is_file dump.jsonl

claim 'JSON lines: text is text, other bytes are base64'
ramet create j
good ramet put j m text $'a "quoted" \xc3\xa5\n'
good ramet put j m bytes $'\xff\xfe'
good ramet dump j m --format jsonl
jq -r 'select(.key == "text") | .value' out >text
printf 'a "quoted" å\n\n' >wanted
same text wanted
[ "$(jq -r 'select(.key == "bytes") | .value_base64' out)" = '//4=' ] || fail 'base64' out
printf '%s\n' '{"value_base64": "", "key_base64": "/w=="}' '' \
    '{"value": "\u0000\ud83d\ude00", "key": "u"}' |
    ramet load j n --format jsonl
good ramet dump j n --format tsv
printf '%s\n' 'u	\x00😀' '\xff	' >wanted
out_is_file wanted

claim 'mdb: nasty bytes go out to mdb_load, and come back from mdb_dump and mdb_dump -p'
if command -v mdb_dump >/dev/null; then
    good ramet dump s m --format mdb
    cp out dump.mdb
    [ "$(tail -n 1 dump.mdb)" = DATA=END ] || fail 'it ends with DATA=END'
    run mdb_load -n -f dump.mdb lmdb
    is_status 0
    mdb_dump -n lmdb >bytevalue.mdb
    good ramet load s from-bytevalue bytevalue.mdb
    good ramet dump s from-bytevalue
    out_is_file canonical.tsv
    mdb_dump -n -p lmdb >print.mdb
    # Some versions of mdb_dump -p write a backslash as it is, and nobody can tell what was meant.
    grep -v '\\\\' canonical.tsv >canonical-print.tsv
    ramet create p
    ramet load p m canonical-print.tsv
    ramet dump p m --format mdb >print-source.mdb
    mdb_load -n -f print-source.mdb lmdb-print
    mdb_dump -n -p lmdb-print | ramet load p from-print --format mdb || fail 'load of -p'
    good ramet dump p from-print
    out_is_file canonical-print.tsv
else
    skip_claim 'no mdb_dump here (lmdb-utils)'
fi

claim 'mdb: our own dump goes in again; a named database and other header lines do not matter'
good ramet dump s m --format mdb
sed '/^type=/a database=x\nmaxreaders=126\ndb_pagesize=4096' out >named.mdb
good ramet load s from-named named.mdb
good ramet dump s from-named
out_is_file canonical.tsv

claim 'mdb: print format, by hand'
cat >print.mdb <<'END'
VERSION=3
format=print
type=btree
HEADER=END
 key one
 a\09tab, a \\ slash, a \5c slash
 \ff

DATA=END
END
sed -i 's/^$/ /' print.mdb
good ramet load j p print.mdb
good ramet dump j p
printf '%s\n' 'key one	a\ttab, a \\ slash, a \\ slash' '\xff	' >wanted
out_is_file wanted

claim 'the format follows from the name of the file, and --format wins'
cp dump.jsonl as.NDJSON
good ramet load s by-name as.NDJSON
good ramet count s by-name
out_is "$(wc -l <nasty.tsv)"
cp dump.jsonl wrong-name.tsv
good ramet load s by-option wrong-name.tsv --format jsonl
good ramet count s by-option
out_is "$(wc -l <nasty.tsv)"
fails 2 "not 'csv'" ramet load s m nasty.tsv --format csv
fails 2 "not 'xml'" ramet dump s m --format xml

claim 'standard input: without FILE, and as -'
good ramet load s stdin <nasty.tsv
good ramet dump s stdin
out_is_file canonical.tsv
good ramet load s stdin2 - <nasty.tsv
good ramet dump s stdin2
out_is_file canonical.tsv

claim 'any order of lines gives the same map; of two equal keys the last wins'
shuf --random-source=nasty.tsv nasty.tsv >shuffled.tsv
good ramet load s shuffled shuffled.tsv
good ramet dump s shuffled
out_is_file canonical.tsv
printf 'k\t1\na\t0\nk\t2\nz\t9\nk\t3\n' | ramet load s twice
good ramet get s twice k
out_is 3
good ramet count s twice
out_is 3

claim 'load adds to what is there'
printf 'b\t2\nnew\t5\n' | ramet load s twice
good ramet dump s twice
out_is $'a\t0\nb\t2\nk\t3\nnew\t5\nz\t9'

claim 'the last line needs no newline; an empty input makes an empty map'
printf 'a\t1\nb\t2' | ramet load s no-newline
good ramet count s no-newline
out_is 2
good ramet load s empty /dev/null
good ramet count s empty
out_is 0
good ramet dump s empty --format mdb
cp out empty.mdb
good ramet load s empty2 empty.mdb

claim 'the stores are sound'
sound s
sound j
