#!/usr/bin/env bash
# Builds the binary of the image, and the archive of the kubectl plugin for this machine, twice, from two copies of the sources in
# different places, and compares them bit by bit: who builds a release again can tell whether it is what the sources say. The second
# build shares no cache with the first, so that everything is compiled again: about five minutes on 2 cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
sums=()
build() {
  local copy=$1
  mkdir -p "$work/$copy"
  git ls-files --cached --others --exclude-standard | while read -r file; do [[ -e $file ]] && echo "$file"; done |
    tar -cf - -T - | tar -xf - -C "$work/$copy"
  make --no-print-directory -C "$work/$copy" build-linux VERSION=v0.0.0-reproducible
  VERSION=v0.0.0-reproducible COMMIT=none "$work/$copy/hack/plugin/release.sh" "$work/$copy/bin/release" "linux/$(go env GOARCH)" >/dev/null
  sums+=("$(cd "$work/$copy/bin" && sha256sum linux-*/sequentialjob-controller release/*)")
  echo "${sums[-1]}"
}
build one/place
export GOCACHE=$work/cache
build another/one/further/down
[[ ${sums[0]} == "${sums[1]}" ]] || { echo "The two builds differ" >&2; exit 1; }
echo "The two builds are the same"
