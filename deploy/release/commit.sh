#!/usr/bin/env bash
# Prints what programs that are built here are built from, for ATELIER_COMMIT: `abc1234def 2026-11-25`, with `modified`
# behind it where tracked files differ from that commit, and `unknown` where there is no git or no repository.
#
# By environment:
#   SOURCE_DATE_EPOCH   seconds since 1970, of which the date is told instead of the commit's
#                       (https://reproducible-builds.org/docs/source-date-epoch/)
set -euo pipefail
cd "$(dirname "$0")/../.."

# Not of a repository further up that has these sources unpacked in it.
if ! [ -e .git ] || ! commit=$(git rev-parse --short=10 HEAD 2>/dev/null); then
    echo unknown
    exit
fi
seconds=${SOURCE_DATE_EPOCH:-$(git show --no-patch --format=%ct HEAD)}
if ! date=$(date --utc --date="@$seconds" +%F 2>/dev/null); then
    echo "error: SOURCE_DATE_EPOCH is '$seconds', which is no number of seconds" >&2
    echo "hint: unset it, or set it as in 1764028800" >&2
    exit 2
fi
modified=
git diff --quiet HEAD -- 2>/dev/null || modified=' modified'
echo "$commit $date$modified"
