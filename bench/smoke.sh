#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The benchmarks run, with figures that are too small to mean anything.
#
# usage: smoke.sh BENCH
set -eu
bench=$1
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # where flushes are fast, if there is such
trap 'rm -rf "$work"' EXIT

"$bench" --entries=2000 --rounds=1 --dir="$work" --json >"$work/json"
for group in load get readers commit open space branches merges versions watch blobs maps values; do
    grep -q "\"group\": \"$group\"" "$work/json" || {
        echo "no row of '$group'"
        exit 1
    }
done
if command -v jq >/dev/null; then
    jq -e '.rows | length > 40 and all(.ramet.median >= 0)' "$work/json" >/dev/null
fi

"$bench" --only=get --peers=LMDB --entries=1000 --rounds=2 --dir="$work" >"$work/text"
grep -q 'at most 0.60x of LMDB' "$work/text"
if "$bench" --only=nothing 2>/dev/null; then
    echo 'a group that is not there was taken'
    exit 1
fi
[ "$(find "$work" -name 'ramet-bench.*' | wc -l)" = 0 ] || {
    echo 'a folder was left behind'
    exit 1
}
