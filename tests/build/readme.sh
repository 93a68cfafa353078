#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The C program in the README is examples/hello.c, has 30 lines, compiles as C99 and runs, twice;
# and the README's first commands are targets of the Makefile. The other examples that the README
# builds are built as it says, and run with what it gives them.
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

nr=0
while read -r command; do
    case $command in
    'cc examples/'*)
        source=${command#cc }
        source=${source%% *}
        name=$(basename "$source" .c)
        "$@" -Wall -Wextra -Werror -I"$root/include" "$root/$source" -o "$name" \
            -L"$(dirname "$library")" -lramet -Wl,-rpath,"$(dirname "$library")"
        read -r command
        [[ $command == "./$name "* ]] || die "$name is built, and not run"
        read -ra words <<<"$command"
        "${words[@]}" >said || die "$command"
        [ -s said ] || die "$command said nothing"
        nr=$((nr + 1))
        ;;
    esac
done < <(sed -n 's/^    \$ \(cc examples\/.*\|\.\/.*\)/\1/p' "$root/README.md")
[ "$nr" -gt 0 ] || die 'the README builds no other example'
