#!/bin/sh
# Writes one backup, verifies it, and only then ends those that are older than the days to keep.
# Exit 0: a verified backup is there. Anything else: look at it, nothing was removed.
set -eu

fail() { printf 'backup: %s\n' "$*" >&2; exit 2; }

danhao=${DANHAO_PROGRAM:-/opt/danhao-server/bin/danhao}
[ -n "${DANHAO_BACKUPS:-}" ] || fail "say where to: DANHAO_BACKUPS=/folder on another disk"
keep_days=${DANHAO_BACKUP_KEEP_DAYS:-30}
case $keep_days in
    '' | *[!0-9]* | 0) fail "DANHAO_BACKUP_KEEP_DAYS must be a number of days from 1 on" ;;
esac
[ -d "$DANHAO_BACKUPS" ] || fail "$DANHAO_BACKUPS is not there: is its disk mounted?"

file=$DANHAO_BACKUPS/danhao-$(date -u +%Y-%m-%dT%H%M%SZ).danhao
"$danhao" db backup "$file"
"$danhao" db verify "$file"
# Our own names only, never below a folder, never the one that was just written.
find "$DANHAO_BACKUPS" -maxdepth 1 -type f -name 'danhao-????-??-??T??????Z.danhao' \
    -mtime "+$keep_days" ! -path "$file" -print -delete
