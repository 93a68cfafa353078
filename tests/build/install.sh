#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What DESTDIR gets is enough to compile a program with pkg-config and to run it and the command.
set -eu
root=$1 build=$2
shift 2
command -v meson >/dev/null || { echo 'no meson in PATH'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die()
{
    echo "$1"
    [ -z "${2-}" ] || cat "$2"
    exit 1
}

meson install -C "$build" --no-rebuild --destdir "$work/dest" >"$work/log" 2>&1 ||
    die 'meson install failed' "$work/log"
cd "$work"
pc=$(find dest -name ramet.pc)
[ -n "$pc" ] || die 'no ramet.pc'
export PKG_CONFIG_PATH=$PWD/${pc%/*} PKG_CONFIG_SYSROOT_DIR=$PWD/dest
version=$(pkg-config --modversion ramet)
libdir=$(dirname "$(find "$PWD/dest" -name 'libramet.so.0')")
[ -e "$libdir/libramet.a" ] || die 'no static library'
# It is loaded when it is used, so that no program has to have it.
! grep git2 "$pc" || die 'ramet.pc asks for libgit2'
! readelf -d "$libdir/libramet.so.0" | grep git2 || die 'libramet.so is linked with libgit2'
[ -n "$(find dest -name ramet.h)" ] || die 'no header'
[ -n "$(find dest -name 'ramet.1*')" ] || die 'no ramet(1)'
man=$(dirname "$(find dest -name 'ramet.3*')")
for function in $(cat "$root"/include/*.h | grep -E '^RAMET_(API|INLINE) ' |
    grep -oE '\bramet_[a-z0-9_]+\('); do
    grep -q "^\.F[no] ${function%(}" "$man/${function%(}.3" || die "no ${function%(}(3)"
done
for page in "$root"/man/*.1; do
    [ -e "$man/../man1/${page##*/}" ] || die "${page##*/} is not installed"
done

# shellcheck disable=SC2046 # flags
"$@" "$root/examples/hello.c" -o shared $(pkg-config --cflags --libs ramet)
[ "$(LD_LIBRARY_PATH=$libdir ./shared)" = 'hello world' ] || die 'shared: no hello'
rm -f hello.ramet*
# shellcheck disable=SC2046
"$@" "$root/examples/hello.c" -o static $(pkg-config --cflags ramet) "$libdir/libramet.a" -pthread
[ "$(./static)" = 'hello world' ] || die 'static: no hello'

for file in bash-completion/completions/ramet zsh/site-functions/_ramet; do
    [ -e "$man/../../$file" ] || die "$file is not installed"
done
command=$(find "$PWD/dest" -name ramet -type f -perm -u+x)
[ -n "$command" ] || die 'no ramet command'
[ "$(LD_LIBRARY_PATH=$libdir "$command" version)" = "ramet $version" ] || die 'another version'
