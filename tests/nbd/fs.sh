#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A filesystem on a disk, and on clones of it that are made while it is written.
. "$(dirname "$0")/lib.sh"
need mkfs.ext4 e2fsck debugfs nbdcopy

ramet create s
mkdir files
for n in $(seq 1 40); do
    head -c $((n * 7000)) /dev/urandom >"files/f$n"
done
truncate -s 64M fs
mkfs.ext4 -q -d files fs

fsck()
{
    run e2fsck -fn "$1"
    is_status 0
}

claim 'ext4 comes through, and its files are there'
good once "nbdcopy --flush fs \$uri" s disk=root create-size=64M
good ramet disk export s root out.img
fsck out.img
debugfs -R 'dump /f17 f17' out.img 2>/dev/null
same files/f17 f17

claim 'clones are made in no time, served side by side, and go their own ways'
ramet snapshot s --name installed >/dev/null
for n in 1 2 3; do
    good ramet branch s "vm$n"
done
serve sock s
for n in 1 2 3; do
    at="nbd+unix:///root@vm$n?socket=sock"
    good nbdcopy "$at" "vm$n.img"
    head -c $((n * 100000)) /dev/urandom >new
    debugfs -w -R "write new new$n" "vm$n.img" >/dev/null 2>&1
    good nbdcopy --flush "vm$n.img" "$at"
done
for n in 1 2 3; do
    good ramet disk export s root "got.img" -b "vm$n" --force
    fsck got.img
    debugfs -R 'ls -l' got.img 2>/dev/null >list
    grep -q "new$n" list || fail "vm$n has not its file" list
    [ "$(grep -c new list)" = 1 ] || fail "vm$n has another's file" list
done
good ramet disk export s root got.img -b main@installed --force
same got.img fs
stop
sound s

claim 'a filesystem in use: mounted, written, cloned meanwhile, and each clone can be repaired'
mkdir mount1 mount2
if is_root && [ -c /dev/fuse ] && command -v nbdfuse >/dev/null; then
    serve sock s
    : >mount1/nbd
    nbdfuse "$work/mount1/nbd" "nbd+unix:///root?socket=sock" &
    fuse=$!
    nr_mounts=1
    tries=0
    until [ -s mount1/nbd ] || [ $tries = 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    if [ -s mount1/nbd ] && mount -o loop mount1/nbd mount2 2>/dev/null; then
        nr_mounts=2
        for n in 1 2 3 4; do
            cp -r files "mount2/dir$n" && sync -f mount2/dir1
            good ramet branch s "live$n"
        done
        umount mount2
        nr_mounts=1
        for n in 1 2 3 4; do
            ramet disk export s root live.img -b "live$n" --force
            e2fsck -fy live.img >repair 2>&1
            [ $? -le 1 ] || fail "live$n" repair
            fsck live.img
            debugfs -R "dump /dir$n/f9 f9" live.img 2>/dev/null
            same files/f9 f9
        done
        ended=1
    else
        ended=
    fi
    # The kernel lets go of a loop device a little later.
    tries=0
    until umount mount1 2>/dev/null || [ $tries = 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    [ $tries -lt 100 ] || kill $fuse
    wait $fuse
    nr_mounts=0
    stop
    [ -n "$ended" ] || skip_claim 'no FUSE or no loop devices here'
else
    skip_claim 'not root, no /dev/fuse, or no nbdfuse'
fi
sound s
