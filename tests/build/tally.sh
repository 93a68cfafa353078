#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/tally counts what meson logged, and calls a folder without a log a failure.
set -eu
tally=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p one/meson-logs two/meson-logs

expect()
{
    local wanted=$1 status=$2 said got=0
    shift 2
    said=$("$tally" "$@" 2>/dev/null) || got=$?
    [ "$said" = "$wanted" ] && [ $got = "$status" ] || {
        echo "'$said', status $got; not '$wanted', status $status"
        exit 1
    }
}

log()
{
    local result
    for result in "$@"; do
        printf '{"stdout": "\\"result\\": \\"FAIL\\"", "result": "%s", "returncode": 0}\n' $result
    done
}

log OK OK SKIP >one/meson-logs/testlog.json
log OK EXPECTEDFAIL >two/meson-logs/testlog.json
expect '4 passed, 0 failed, 1 skipped' 0 one two
expect '2 passed, 0 failed' 0 two
log OK FAIL TIMEOUT ERROR >two/meson-logs/testlog.json
expect '3 passed, 3 failed, 1 skipped' 1 one two
expect '2 passed, 1 failed, 1 skipped' 1 one three
expect '0 passed, 1 failed' 1 three
