#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The C program in the README is examples/hello.c, has 30 lines, compiles as C99 and runs, twice;
# and the README's first commands are targets of the Makefile.
set -eu
root=$1 library=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' \
    "$root/README.md" >"$work/readme.c"
die()
{
    echo "$1"
    exit 1
}

diff "$work/readme.c" "$root/examples/hello.c" || die 'README.md and examples/hello.c differ'
[ "$(wc -l <"$work/readme.c")" -le 30 ] || die 'more than 30 lines'
for target in demo check; do
    head -n 12 "$root/README.md" | grep -q "make $target" || die "make $target is not at its head"
    grep -q "^$target:" "$root/Makefile"
done

cd "$work"
"$@" -std=c99 -Wall -Wextra -Werror -pedantic -I"$root/include" readme.c -o hello \
    -L"$(dirname "$library")" -lramet -Wl,-rpath,"$(dirname "$library")"
for _ in 1 2; do
    said=$(./hello)
    [ "$said" = 'hello world' ] || die "it said '$said'"
done
