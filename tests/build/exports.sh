#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The shared library exports what the header declares, nothing more and nothing less, and has its
# soname.
set -eu
export LC_ALL=C
library=$1
shift

wanted=$(cat "$@" | grep '^RAMET_API' | grep -oE '\bramet_[a-z0-9_]+\(' | tr -d '(' | sort)
found=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
[ -n "$wanted" ]
diff <(echo "$wanted") <(echo "$found") >/dev/null || {
    echo "< declared in a header, not exported; > exported, not declared:"
    diff <(echo "$wanted") <(echo "$found") | grep '^[<>]'
    exit 1
}
readelf -d "$library" | grep -q 'SONAME.*\[libramet\.so\.0\]' || { echo 'no soname 0'; exit 1; }
# In a header each function stands on its line with RAMET_API before it, or RAMET_INLINE.
! grep -nE '^[a-z].*\bramet_[a-z_]+\(' "$@" | grep -vE 'RAMET_API|typedef' || {
    echo 'declared without RAMET_API'
    exit 1
}
