# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib.sh - what the tests of the plugin share, beside what tests/cli/lib.sh has. Source it.
#
#   need TOOL...                   or the script is skipped
#   need_exit                      or it is: servers that find another one on the store must end
#   serve SOCKET PARAMETER...      starts a server; $uri, $server (its pid); its log is SOCKET.log
#   stop [SIGNAL]                  ends the server that was started last, and waits until it has
#   once COMMAND PARAMETER...      runs COMMAND, which sees $uri, with a server of its own
#   ask COMMAND                    one more to a qemu-io that reads from here, and writes to hold.log
#
# $1: the command ramet; $2: the plugin.
export PATH=$PATH:/usr/sbin:/sbin
plugin=$(realpath "$2") || exit
for tool in nbdkit nbdinfo qemu-io; do
    command -v $tool >/dev/null || {
        echo "1..0 # SKIP no $tool in PATH"
        exit 0
    }
done
# shellcheck source-path=SCRIPTDIR/../cli
. "$(dirname "$0")/../cli/lib.sh"

# A plugin with AddressSanitizer needs it in the server before anything else.
asan=$(ldd "$plugin" | awk '/lib[at]san/ { print $3 }')
nr_mounts=0
server=
nr_asked=0

nbd_cleanup()
{
    local status=$?
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null
    while [ $nr_mounts -gt 0 ]; do
        umount "$work/mount$nr_mounts" 2>/dev/null
        nr_mounts=$((nr_mounts - 1))
    done
    (exit $status)
    cleanup
}
trap nbd_cleanup EXIT

need()
{
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            trap - EXIT
            rm -rf "$work"
            echo "1..0 # SKIP no $tool in PATH"
            exit 0
        }
    done
}

# With AddressSanitizer before it, an nbdkit that has put an error into words does not end: the
# count of glibc's locale lock is one too low from the start, and libp11-kit's destructor waits for it.
need_exit()
{
    [ -z "$asan" ] && return
    trap - EXIT
    rm -rf "$work"
    echo '1..0 # SKIP nbdkit does not end with AddressSanitizer before it'
    exit 0
}

server()
{
    LD_PRELOAD=$asan ASAN_OPTIONS=detect_leaks=0 nbdkit "$@"
}

serve()
{
    local socket=$1
    shift
    rm -f "$socket" "$socket.pid" hold.log
    # Not by server(): that would be a shell, and its pid that of a shell.
    LD_PRELOAD="$asan ${preload-}" ASAN_OPTIONS=detect_leaks=0 nbdkit -f -U "$socket" \
        -P "$socket.pid" ${threads:+-t "$threads"} "$plugin" "$@" 2>"$socket.log" &
    server=$!
    uri="nbd+unix:///?socket=$socket"
    until [ -s "$socket.pid" ]; do
        kill -0 $server 2>/dev/null || {
            fail "no server: $*" "$socket.log"
            break
        }
        sleep 0.02 # for another process to begin
    done
}

stop()
{
    [ "$(cat "/proc/$server/comm")" = nbdkit ] || fail "$server is no server"
    kill "-${1:-TERM}" "$server"
    wait "$server" 2>/dev/null
    server=
    if grep -q 'Sanitizer\|runtime error:' ./*.log 2>/dev/null; then
        fail 'a sanitizer has spoken' "$(grep -l 'Sanitizer\|runtime error:' ./*.log | head -n 1)"
    fi
}

once()
{
    local command=$1
    shift
    # QEMU's coroutines and a sanitizer that it was not built with do not get along.
    server -U - "$plugin" "$@" --run "unset LD_PRELOAD; $command"
}

# One command of qemu-io after the other. $1: URI.
disk_io()
{
    local uri=$1 words=()
    shift
    for word in "$@"; do
        words+=(-c "$word")
    done
    # It says of most errors nothing but words.
    qemu-io -f raw "${words[@]}" "$uri" >io 2>&1 || return
    ! grep -qiE 'fail|error|verification' io
}

io_works()
{
    disk_io "$@" || fail "qemu-io $*" io
}

io_fails()
{
    local text=$1
    shift
    ! disk_io "$@" || fail "it worked: qemu-io $*" io
    grep -qi "$text" io || fail "no '$text' from: qemu-io $*" io
}

# It waits until the one before is done: of lines that come together qemu-io sees the first alone.
ask()
{
    until [ "$(grep -o 'qemu-io> ' hold.log 2>/dev/null | wc -l)" -gt $nr_asked ]; do
        sleep 0.02
    done
    nr_asked=$((nr_asked + 1))
    echo "$1"
}
