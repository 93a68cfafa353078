# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - what the tests of the command line share. Source it; it makes a folder and goes there.
#
#   claim 'what must be true'     begins a case; it ends at the next claim
#   run COMMAND...                runs it; $status, out and err have what came of it
#   is_status N, out_is TEXT, out_is_file FILE, out_has TEXT, err_has TEXT, no_out, no_err, same FILE FILE
#   fails N TEXT COMMAND...       run, then status N, nothing on standard output, TEXT in its error
#
# The ramet under test is the first word after the script's name, or what PATH has. Output is TAP.
set -u
export LC_ALL=C.UTF-8
unset NO_COLOR

ramet=$(realpath "$(command -v "${1:-ramet}")") || exit
# Makes stores of other formats; reslot.c. Without it those cases are skipped.
reslot=${2:+$(realpath "$2")}
nr_claims=0
claim_name=
claim_failed=
script_failed=0

work=$(mktemp -d "${TMPDIR:-/tmp}/ramet-cli.XXXXXX") || exit
# Anybody may enter: some cases run as somebody else.
chmod 755 "$work"
cd "$work" || exit

ramet()
{
    command "$ramet" "$@"
}

end_claim()
{
    [ -n "$claim_name" ] || return 0
    nr_claims=$((nr_claims + 1))
    if [ -n "$claim_failed" ]; then
        echo "not ok $nr_claims - $claim_name"
        script_failed=1
    else
        echo "ok $nr_claims - $claim_name"
    fi
    claim_name=
}

claim()
{
    end_claim
    claim_name=$1
    claim_failed=
}

# The case that has just begun cannot run here.
skip_claim()
{
    nr_claims=$((nr_claims + 1))
    echo "ok $nr_claims - $claim_name # SKIP $1"
    claim_name=
}

fail()
{
    local frame=0
    claim_failed=1
    # The line of the script, not of this library.
    while [ "${BASH_SOURCE[frame + 1]##*/}" = lib.sh ]; do
        frame=$((frame + 1))
    done
    echo "# line ${BASH_LINENO[frame]}: $1"
    [ -z "${2-}" ] || head -c 2000 "$2" | sed 's/^/#   /'
}

cleanup()
{
    local status=$?
    end_claim
    if [ $status != 0 ]; then
        echo "Bail out! the script ended with status $status"
    else
        echo "1..$nr_claims"
    fi
    cd / && rm -rf "$work"
    [ $script_failed = 0 ] || exit 1
}
trap cleanup EXIT

run()
{
    "$@" >"$work/out" 2>"$work/err"
    status=$?
    # Whatever else is wrong, nothing may crash.
    if [ $status -ge 128 ] && [ $status != 130 ] && [ $status != 141 ]; then
        fail "status $status of: $*" "$work/err"
    elif grep -q 'Sanitizer\|runtime error:' "$work/err"; then
        fail "sanitizer: $*" "$work/err"
    fi
}

is_status()
{
    [ "$status" = "$1" ] || fail "status $status, not $1" "$work/err"
}

# Good: status 0, and nothing on standard error.
good()
{
    run "$@"
    [ "$status" = 0 ] || fail "status $status of: $*" "$work/err"
    [ ! -s "$work/err" ] || fail "it said something: $*" "$work/err"
}

fails()
{
    local wanted=$1 text=$2
    shift 2
    run "$@"
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted, of: $*" "$work/err"
    [ ! -s "$work/out" ] || fail "it printed something: $*" "$work/out"
    grep -qF -- "$text" "$work/err" || fail "no '$text' in the error of: $*" "$work/err"
    grep -q '^ramet: ' "$work/err" || fail "an error does not begin with 'ramet: ': $*" "$work/err"
}

out_is()
{
    # $( ) drops newlines at the end; all that is compared ends with one, or has none.
    [ "$(cat "$work/out")" = "$1" ] || fail "not '$1' but" "$work/out"
}

out_is_file()
{
    cmp -s "$work/out" "$1" || fail "not the bytes of $1 but" "$work/out"
}

out_has()
{
    grep -qF -- "$1" "$work/out" || fail "no '$1' in" "$work/out"
}

err_has()
{
    grep -qF -- "$1" "$work/err" || fail "no '$1' in the error" "$work/err"
}

no_out()
{
    [ ! -s "$work/out" ] || fail "it printed something" "$work/out"
}

same()
{
    cmp -s "$1" "$2" || fail "$1 and $2 differ: $(cmp "$1" "$2" 2>&1)"
}

# The store is sound. $1: the store.
sound()
{
    run ramet check "$1"
    [ "$status" = 0 ] || fail "check of $1: status $status: $(head -n 5 "$work/out")" "$work/err"
}

is_root()
{
    [ "$(id -u)" = 0 ]
}

# Runs as somebody without rights, if we are root; else as ourselves.
as_nobody()
{
    if is_root; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    else
        "$@"
    fi
}

# The command's words, typed on a terminal; standard output and error are one. $1: one string for sh.
on_terminal()
{
    script -qec "$1" /dev/null </dev/null 2>&1
}
