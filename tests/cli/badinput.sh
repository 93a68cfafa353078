#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Files, disks and pipes that are not as they should be: a clear error, the right status, a store
# intact.
. "$(dirname "$0")/lib.sh"

ramet create s
seq -f '%05g' 1 20000 | awk '{ print $1 "\tthe value of " $1 }' >data.tsv
ramet load s m data.tsv
ramet snapshot s --name first >/dev/null
ramet branch s other
ramet put s m 00001 changed -b other

# Every command that opens a store, on $2; each must fail with status 3 and say $1.
each_fails()
{
    local text=$1 store=$2
    fails 3 "$text" ramet put "$store" m k v
    fails 3 "$text" ramet get "$store" m k
    fails 3 "$text" ramet del "$store" m k
    fails 3 "$text" ramet scan "$store" m
    fails 3 "$text" ramet load "$store" m data.tsv
    fails 3 "$text" ramet dump "$store" m
    fails 3 "$text" ramet count "$store" m
    fails 3 "$text" ramet maps "$store"
    fails 3 "$text" ramet drop "$store" m
    fails 3 "$text" ramet branch "$store" b
    fails 3 "$text" ramet branches "$store"
    fails 3 "$text" ramet snapshot "$store"
    fails 3 "$text" ramet snapshots "$store"
    fails 3 "$text" ramet reset "$store" main @1
    fails 3 "$text" ramet delete "$store" main
    fails 3 "$text" ramet reclaim "$store"
    fails 3 "$text" ramet stat "$store"
    fails 3 "$text" ramet check "$store"
}

claim 'a store that is not there is not made by anything but create'
each_fails "cannot open 'none'" none
err_has 'ramet create'
[ ! -e none ] || fail 'it is there now'
fails 3 '' ramet create no/such/folder/s

claim 'a file that is no store'
head -c 100000 /dev/urandom >noise
printf 'hello\n' >text
: >empty
head -c 100000 /dev/zero >zeros
for file in noise text empty zeros; do
    cp $file copy
    each_fails "cannot open '$file'" $file
    same $file copy
done

claim 'a directory, a device, a socket-like thing'
mkdir folder
each_fails "cannot open 'folder'" folder
fails 3 '' ramet get /dev/null m k
fails 3 '' ramet get /dev/zero m k
mkfifo fifo
fails 3 '' timeout 10 "$ramet" get fifo m k

claim 'a read-only file in a read-only folder: reading works, writing says why not'
mkdir locked
cp s locked/s
chmod 444 locked/s
chmod 555 locked
if as_nobody "$ramet" version >/dev/null 2>&1; then
    good as_nobody "$ramet" get locked/s m 00002
    out_is 'the value of 00002'
    good as_nobody "$ramet" check locked/s
    good as_nobody "$ramet" stat locked/s
    fails 3 'permission' as_nobody "$ramet" put locked/s m k v
    fails 3 'permission' as_nobody "$ramet" branch locked/s b
    same s locked/s
else
    skip_claim 'another user cannot run ramet here'
fi
chmod 755 locked

claim 'a path without permission'
mkdir closed
cp s closed/s
chmod 700 closed
if is_root && as_nobody "$ramet" version >/dev/null 2>&1; then
    fails 3 'permission' as_nobody "$ramet" get closed/s m 00002
    cp s unreadable
    chmod 600 unreadable
    fails 3 'permission' as_nobody "$ramet" get unreadable m 00002
    fails 3 'permission' as_nobody "$ramet" create closed/new
else
    skip_claim 'needs root'
fi

claim 'a full device under standard output'
for command in 'get s m 00001' 'scan s m' 'dump s m' 'dump s m --format jsonl' \
    'dump s m --format mdb' 'stat s' 'branches s' 'snapshots s' 'maps s' 'count s m' 'version' \
    'help' 'put --help' 'check s'; do
    # shellcheck disable=SC2086 # words
    ramet $command >/dev/full 2>err
    status=$?
    is_status 3
    err_has 'standard output: No space left'
done

claim 'a closed pipe ends quietly'
for command in 'dump s m' 'scan s m' 'dump s m --format jsonl' 'dump s m --format mdb'; do
    # shellcheck disable=SC2086 # words
    { ramet $command 2>err; echo $? >pipe-status; } | head -n 1 >/dev/null
    [ "$(cat pipe-status)" = 141 ] || fail "status $(cat pipe-status) of $command"
    [ ! -s err ] || fail "it said something: $command" err
done

claim 'a closed standard output or input'
run bash -c "'$ramet' get s m 00002 >&-"
[ $status = 0 ] || [ $status = 3 ] || fail "status $status"
run bash -c "'$ramet' load s m <&-"
is_status 3
sound s

claim 'a full disk: a clear error, nothing lost, and deleting makes room'
mkdir disk
if is_root && mount -t tmpfs -o size=4m tmpfs disk 2>/dev/null; then
    good ramet create disk/s
    good ramet put disk/s m kept 'this stays'
    seq -f '%09g' 1 200000 |
        awk '{ print $1 "\tsome value that is long enough to fill a disk " $1 }' >much.tsv
    fails 3 'No space left' ramet load disk/s m much.tsv
    err_has 'make room'
    good ramet get disk/s m kept
    out_is 'this stays'
    sound disk/s
    # Fill it to the brim, then delete.
    for i in $(seq 1 60); do
        run ramet put disk/s fill "$i" - < <(head -c 100000 /dev/urandom)
        [ $status = 0 ] || break
    done
    [ $status = 3 ] || fail 'the disk did not get full'
    err_has 'No space left'
    sound disk/s
    good ramet drop disk/s fill
    good ramet put disk/s m again 'there is room'
    good ramet get disk/s m kept
    out_is 'this stays'
    sound disk/s
    umount disk
else
    skip_claim 'needs root and mount'
fi

claim 'a store that was cut short is noticed, at any length'
file_size=$(stat -c %s s)
for keep in 0 1 100 511 512 4095 4096 8192 65536 65537 131072 \
    $((file_size / 2)) $((file_size - 4096)) $((file_size - 1)); do
    [ "$keep" -lt "$file_size" ] || continue
    head -c "$keep" s >cut
    cp cut cut-before
    run ramet dump cut m
    # The end of the file may be free pages: then all is there. Else it must say so.
    if [ $status = 0 ]; then
        out_is_file data.tsv
    else
        is_status 3
        err_has 'ramet: '
    fi
    run ramet check cut
    [ $status = 0 ] || [ $status = 3 ] || fail "check of $keep bytes: status $status"
done

claim 'a store of a newer format, or with features that are not known here'
if [ -n "$reslot" ]; then
    cp s newer
    "$reslot" newer 8 2 || fail 'reslot'
    cp newer newer-before
    each_fails 'has format 2' newer
    same newer newer-before

    cp s refused
    "$reslot" refused 16 0x40 || fail 'reslot'
    each_fails 'features' refused

    cp s can-be-read
    "$reslot" can-be-read 20 1 || fail 'reslot'
    good ramet get can-be-read m 00002
    out_is 'the value of 00002'
    fails 3 'read' ramet put can-be-read m k v

    cp s ignored
    "$reslot" ignored 24 0x80000000 || fail 'reslot'
    good ramet put ignored m k v
    sound ignored
else
    skip_claim 'no reslot'
fi

claim 'a store that says another page size than it has'
if [ -n "$reslot" ]; then
    for size in 0 1 4095 8192 65536 131072 0xffffffff; do
        cp s other-size
        "$reslot" other-size 12 $size || fail 'reslot'
        fails 3 '' ramet get other-size m 00002
        run ramet check other-size
        is_status 3
    done
else
    skip_claim 'no reslot'
fi

claim 'flipped bits are seen, or were in what nobody reads: never wrong data, never a crash'
RANDOM=${SEED:-7}
echo "# seed ${SEED:-7}"
nr_seen=0
for i in $(seq 1 ${FLIPS:-60}); do
    cp s flipped
    at=$(((RANDOM * 32768 + RANDOM) % file_size))
    byte=$(od -An -tu1 -j $at -N 1 flipped)
    printf "\\x$(printf %x $((byte ^ (1 << (RANDOM % 8)))))" |
        dd of=flipped bs=1 seek=$at conv=notrunc status=none
    run timeout 60 "$ramet" dump flipped m
    if [ $status = 0 ]; then
        cmp -s out data.tsv || fail "bit flipped in byte $at: other data and no error"
    else
        nr_seen=$((nr_seen + 1))
        [ $status = 3 ] || fail "bit flipped in byte $at: status $status" err
    fi
    run timeout 60 "$ramet" check flipped
    [ $status = 0 ] || [ $status = 3 ] || fail "check, bit flipped in byte $at: status $status" err
    run timeout 60 "$ramet" stat flipped
    [ $status = 0 ] || [ $status = 3 ] || fail "stat, bit flipped in byte $at: status $status" err
done
[ $nr_seen -gt 0 ] || fail 'not one was seen'

claim 'pages of noise, zeros, and other pages: the same'
for i in $(seq 1 ${FLIPS:-30}); do
    cp s flipped
    pages=$((file_size / 4096))
    from=$((RANDOM % pages))
    to=$((RANDOM % pages))
    case $((i % 3)) in
    0) source=/dev/urandom; skip=0 ;;
    1) source=/dev/zero; skip=0 ;;
    2) source=s; skip=$from ;;
    esac
    dd if=$source of=flipped bs=4096 count=1 skip=$skip seek=$to conv=notrunc status=none
    run timeout 60 "$ramet" dump flipped m
    if [ $status = 0 ]; then
        cmp -s out data.tsv || fail "page $to: other data and no error"
    else
        [ $status = 3 ] || fail "page $to: status $status" err
    fi
    run timeout 60 "$ramet" check flipped
    [ $status = 0 ] || [ $status = 3 ] || fail "check, page $to: status $status" err
done

claim 'keys: 1 to 1024 bytes'
key1024=$(printf 'k%.0s' $(seq 1024))
good ramet put s keys "$key1024" longest
good ramet get s keys "$key1024"
out_is longest
for key in '' "${key1024}k"; do
    fails 3 '' ramet put s keys "$key" v
    fails 3 '' ramet get s keys "$key"
    fails 3 '' ramet del s keys "$key"
done

claim 'a lock file from somewhere else, or that is none, does no harm'
good ramet get s m 00002
for lock in s-lock s.lock s-rmtlock; do
    if [ -e $lock ]; then
        head -c 50000 /dev/urandom >$lock
        good ramet get s m 00002
        out_is 'the value of 00002'
        good ramet put s m lock noise
        : >$lock
        good ramet put s m lock empty
        rm $lock
        good ramet put s m lock none
    fi
done
sound s

claim 'after all of it the store is as it should be'
ramet del s m lock
ramet dump s m >dumped.tsv
same dumped.tsv data.tsv
good ramet get s m 00001 -b other
out_is changed
sound s
