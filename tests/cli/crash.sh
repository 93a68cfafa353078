#!/bin/bash
# SPDX-License-Identifier: MIT
#
# kill -9 at any moment of a writer: the next command finds the store sound, with all that was
# acknowledged and nothing by halves.
. "$(dirname "$0")/lib.sh"

ramet create s
echo "# seed ${SEED:-3}"
RANDOM=${SEED:-3}

# Each load sets all keys to one number, in one commit.
round()
{
    seq -f '%05g' 1 20000 | sed "s/\$/\tround $1/"
}
round 0 | ramet load s m

claim 'killed in the middle of loads: one whole round, never less than the last acknowledged'
nr_kills=${KILLS:-12}
for i in $(seq 1 "$nr_kills"); do
    rm -f acknowledged
    (
        n=$((i * 1000))
        while :; do
            round $n >round.tsv
            "$ramet" load s m round.tsv &
            echo $! >loader
            wait $! || exit
            echo $n >>acknowledged
            n=$((n + 1))
        done
    ) 2>/dev/null &
    writer=$!
    sleep "0.$((RANDOM % 90 + 10))"
    kill -KILL $writer "$(cat loader)" 2>/dev/null
    wait $writer 2>/dev/null

    run ramet dump s m
    is_status 0
    cut -f2 out | sort -u >rounds
    [ "$(wc -l <rounds)" = 1 ] || fail 'more than one round in one map' rounds
    [ "$(wc -l <out)" = 20000 ] || fail "$(wc -l <out) entries"
    last=$(tail -n 1 acknowledged 2>/dev/null || echo 0)
    found=$(cut -d' ' -f2 rounds)
    [ "$found" -ge "$last" ] || fail "round $found, though $last was acknowledged"
    sound s
done

claim 'opening falls back past a commit that is not whole, and says so until somebody has written'
ramet create lost
ramet put lost m key old
cp lost before
ramet put lost m key new
# As if nothing of it had been flushed but its slot: no seal, no lock file, its pages damaged.
cmp -l before lost 2>/dev/null | awk '$1 > 131072 { print int(($1 - 1) / 4096) }' | sort -un >pages
while read -r page; do
    dd if=/dev/urandom of=lost bs=4096 seek="$page" count=1 conv=notrunc status=none
done <pages
for seal in 1 129; do
    dd if=/dev/zero of=lost bs=512 seek=$seal count=1 conv=notrunc status=none
done
rm lost-lock
# Who only reads cannot put that right: the next one finds it again.
for _ in 1 2; do
    run ramet get lost m key
    is_status 0
    out_is old
    err_has "ramet: store 'lost': commit "
    err_has 'it is lost'
done
run ramet put lost m other value
is_status 0
err_has 'it is lost'
good ramet get lost m key
out_is old
sound lost

claim 'and it goes on as if nothing had been'
good ramet branch s after
good ramet put s m 00001 changed -b after
good ramet get s m 00001 -b after
out_is changed
good ramet delete s after
sound s
