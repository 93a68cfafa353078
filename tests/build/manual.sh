#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The manual has a page for every function and every command; what a page says of codes, options
# and examples is what ramet.h and the command say; and its examples compile and run.
#
# usage: manual.sh ROOT LIBRARY COMMAND COMPILER...     COMMAND: -, or the program ramet
set -u
export LC_ALL=C
root=$1 library=$(realpath "$2") command=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
header=$work/header.h # the one that programs include, with what it includes
cat "$root"/include/ramet*.h >"$header"
failed=0

# $1: what is wrong; then, perhaps, a file that says more.
wrong()
{
    echo "$1"
    [ -z "${2-}" ] || head -n 20 "$2"
    failed=1
}

# Names of the functions that a page is about.
functions_of()
{
    sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([a-z0-9_]*\).*/\1/p' "$1"
}

# The codes that the header gives to a function.
codes_of()
{
    awk -v wanted="$1" '
        /^\/\*/ { codes = "" }
        {
            line = $0
            while (match(line, /RAMET_E[A-Z]+|-E[A-Z]+/)) {
                codes = codes "\n" substr(line, RSTART, RLENGTH)
                line = substr(line, RSTART + RLENGTH)
            }
        }
        /^RAMET_(API|INLINE)/ { if ($0 ~ ("[ *]" wanted "\\(")) print codes }' "$header" |
        grep -v -e '^$' -e RAMET_ERRORS -e '^RAMET_EXTENT$' | sort -u
}

# The text between .Bd and .Ed of a page's EXAMPLES, or of another section, as a reader copies it.
literal_of()
{
    sed -n "/^\.Sh EXAMPLES/,/^\.Sh SEE/p" "$1" |
        sed -n '/^\.Bd -literal/,/^\.Ed/{/^\.[BE]d/d;s/\\e/\\/g;p}'
}

# ---- functions ----------------------------------------------------------------------------------
grep -E '^RAMET_(API|INLINE) ' "$header" | grep -oE '\bramet_[a-z0-9_]+\(' |
    tr -d '(' | sort >"$work/declared"
[ -s "$work/declared" ] || wrong 'no function in the header'
for page in "$root"/man/ramet_*.3; do
    functions_of "$page"
done | sort >"$work/documented"
diff "$work/declared" "$work/documented" >"$work/diff" ||
    wrong '< in ramet.h and in no page; > in a page and not in ramet.h, or in two:' "$work/diff"

for page in "$root"/man/ramet*.3; do
    name=${page##*/}
    # Types, functions, members and constants.
    grep -v '^\.Dt' "$page" | grep -oE '\b(ramet|RAMET)_[A-Za-z0-9_]*[A-Za-z0-9]' | sort -u |
        while read -r word; do
            [ -e "$root/man/$word.3" ] || grep -qw -- "$word" "$header" || echo "$word"
        done >"$work/unknown"
    [ ! -s "$work/unknown" ] || wrong "$name names what is not in ramet.h:" "$work/unknown"
    # A reference leads somewhere.
    sed -n 's/^\.Xr \(ramet[a-z_-]*\) \([13]\).*/\1 \2/p' "$page" | while read -r word section; do
        [ -e "$root/man/$word.$section" ] || grep -qx -- "$word" "$work/declared" || echo "$word"
    done >"$work/unknown"
    [ ! -s "$work/unknown" ] || wrong "$name refers to no page:" "$work/unknown"
done

for page in "$root"/man/ramet_*.3; do
    name=${page##*/}
    for function in $(functions_of "$page"); do
        codes_of "$function"
        grep -qE "^\.F[no] $function( |\$)" "$page" || wrong "$name: no synopsis of $function"
    done | sort -u >"$work/codes"
    sed -n '/^\.Sh RETURN/,/^\.Sh EXAMPLES/p' "$page" | grep -oE 'RAMET_E[A-Z]+|-E[A-Z]+' |
        sort -u >"$work/said"
    diff "$work/codes" "$work/said" >"$work/diff" ||
        wrong "$name: < codes in ramet.h alone, > in the page alone:" "$work/diff"

    printf '#include <%s>\n' ramet.h inttypes.h stdio.h stdlib.h string.h >"$work/example.c"
    literal_of "$page" >>"$work/example.c"
    "$@" -std=c99 -Wall -Wextra -Werror -pedantic -I"$root/include" -c "$work/example.c" \
        -o "$work/example.o" 2>"$work/log" ||
        wrong "$name: its example does not compile:" "$work/log"
done

literal_of "$root/man/ramet.3" >"$work/words.c"
"$@" -std=c99 -Wall -Wextra -Werror -pedantic -I"$root/include" "$work/words.c" -o "$work/words" \
    -L"$(dirname "$library")" -lramet -Wl,-rpath,"$(dirname "$library")" 2>"$work/log" &&
    (cd "$work" && echo 'one two one' | ./words) >"$work/out" 2>"$work/log" ||
    wrong 'ramet.3: its example does not compile or run:' "$work/log"
grep -qx '2 one' "$work/out" || wrong 'ramet.3: its example does not count' "$work/out"

# ---- commands -----------------------------------------------------------------------------------
ramet()
{
    command "$command" "$@"
}

# What the examples of all commands find.
prepare()
{
    rm -rf "$work/folder"
    mkdir "$work/folder" "$work/folder/old.mdb" "$work/folder/new.mdb" "$work/folder/old"
    cd "$work/folder" || exit
    printf 'ada\tAda\nalan\tAlan\n' | tee users.tsv >new.tsv
    printf '{"key": "a", "value": "b"}\n' >huge.jsonl
    echo picture >logo.png
    truncate -s 1M debian.raw
    {
        ramet create app.ramet
        ramet load app.ramet users users.tsv
        ramet put app.ramet images logo - <logo.png
        ramet dump app.ramet users --format mdb | mdb_load old.mdb
        ramet dump app.ramet users --format mdb | mdb_load -s users old
        # Not where an example makes it.
        case $1 in ramet-create) rm app.ramet ;; esac
        case $1 in ramet-create | ramet-branch | ramet) ;; *) ramet branch app.ramet test ;; esac
        case $1 in ramet-create | ramet-snapshot | ramet) ;;
        *) ramet snapshot app.ramet --name before ;;
        esac
    } >/dev/null
}

if [ "$command" != - ]; then
    command=$(realpath "$command")
    ramet help | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p' | grep -vx help |
        sort >"$work/commands"
    [ -s "$work/commands" ] || wrong 'help lists no command'
    for page in "$root"/man/ramet-*.1; do
        basename "$page" .1 | sed 's/^ramet-//'
    done | sort >"$work/documented"
    diff "$work/commands" "$work/documented" >"$work/diff" ||
        wrong '< a command without a page; > a page without a command:' "$work/diff"

    while read -r name; do
        page=$root/man/ramet-$name.1
        [ -e "$page" ] || continue
        grep -q "^\.It Xr ramet-$name 1" "$root/man/ramet.1" || wrong "ramet.1 does not list $name"
        ramet "$name" --help >"$work/help"
        # --name VALUE and -n, of the help and of the page's list.
        sed -n '/^options:/,/^$/p' "$work/help" |
            grep -oE '^  -[A-Za-z]|--[a-z-]+( [A-Z]+)?' | tr -d ' ' | sort -u >"$work/options"
        sed -n '/^\.Bl -tag/,/^\.El/s/^\.It \(Fl .*\)/\1/p' "$page" | tr ',' '\n' |
            sed -E 's/ *Fl /-/; s/ +$//; s/^-([A-Za-z]) .*/-\1/; s/ Ar //; s/ //g' |
            sort -u >"$work/said"
        diff "$work/options" "$work/said" >"$work/diff" ||
            wrong "ramet-$name.1: < options of help alone, > of the page alone:" "$work/diff"
        sed -n '/^examples:/,$s/^  //p' "$work/help" >"$work/examples"
        literal_of "$page" >"$work/said"
        grep -vxF -f "$work/said" "$work/examples" >"$work/missing" &&
            wrong "ramet-$name.1 has not these examples of help:" "$work/missing"
    done <"$work/commands"

    # Every option of ramet(1) is one of some command.
    while read -r name; do
        ramet "$name" --help
    done <"$work/commands" | grep -oE -- '(^  -[A-Za-z]|--[a-z-]+)' | tr -d ' ' |
        sort -u >"$work/all"
    sed '/^\.Sh FORMATS/,/^\.Sh ENV/d' "$root/man/ramet.1" | grep -oE 'Fl -?[A-Za-z-]+' |
        sed 's/Fl /-/' | sort -u | grep -vxF -f "$work/all" >"$work/unknown" &&
        wrong 'ramet.1 has options that no command has:' "$work/unknown"

    if command -v mdb_load >/dev/null && command -v jq >/dev/null; then
        mkdir "$work/bin"
        ln -s "$command" "$work/bin/ramet"
        export PATH=$work/bin:$PATH
        for page in "$root"/man/ramet*.1; do
            name=$(basename "$page" .1)
            prepare "$name"
            { echo 'set -e -o pipefail'; literal_of "$page"; } >"$work/script"
            bash "$work/script" >"$work/out" 2>"$work/log" </dev/null ||
                wrong "$name.1: its examples fail:" "$work/log"
        done
    else
        echo 'no mdb_load or no jq here: the examples of commands were not run'
    fi
fi
exit $failed
