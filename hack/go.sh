#!/usr/bin/env bash
# Go without its lines "go: downloading ...": with cold caches there are hundreds, in the middle of the progress that is shown.
# Everything else is passed on: input, output, errors and the exit code.
#
#   go.sh ARGUMENTS...     runs go; the first download is announced with one line
#   source hack/go.sh      makes `go` such a command for the rest of a script; needs "set -o pipefail"

# without_downloads COMMAND ...: runs any command that calls go. If it succeeds, its errors have been written when it returns.
without_downloads() {
  { "$@" 2>&1 >&3 3>&- | hide_downloads >&2 3>&-; } 3>&1
}

# Not by awk: Debian's reads ahead, and would show nothing until the end.
hide_downloads() {
  local line announcement=${go_announcement:-}
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line != "go: downloading "* ]]; then
      printf '%s\n' "$line"
    elif [[ -n $announcement ]]; then
      printf '%s\n' "$announcement"
      announcement=
    fi
  done
}

go() { without_downloads command go "$@"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  go_announcement="  downloading Go modules ..."
  go "$@"
fi
