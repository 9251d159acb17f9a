#!/usr/bin/env bash
# Makes a release, of one architecture, twice, from two copies of the sources in different places, and compares it bit by bit:
# anybody who makes it again can tell whether it is what the sources say. The second one shares no cache with the first, so that
# everything is compiled again: about five minutes on 2 cores. The other architectures are made in the same way, and are not compared.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
arch=$(go env GOARCH)
hack/tools/build.sh helm
export HELM=$PWD/bin/tools/helm VERSION=v0.0.0-reproducible COMMIT=none ALLOW_DIRTY=1 SOURCE_DATE_EPOCH=0
export ARCHITECTURES=$arch PLUGIN_PLATFORMS=linux/$arch
if ! command -v buildah >/dev/null && { [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; }; then
  echo "buildah is not installed and this user cannot install it: the image is not compared"
  export ARCHITECTURES=
fi
for bad in 1.2.3 v1.2 v01.2.3 v1.2.3+build v1.2.3- v1.2.3-01; do
  if VERSION=$bad hack/release.sh "$work/refused" 2>/dev/null; then
    echo "The version $bad should be refused" >&2
    exit 1
  fi
done
sums=()
build() {
  local copy=$work/$1
  mkdir -p "$copy"
  git ls-files --cached --others --exclude-standard | while read -r file; do [[ -e $file ]] && echo "$file"; done |
    tar -cf - -T - | tar -xf - -C "$copy"
  "$copy/hack/release.sh" "$copy/bin/release" >/dev/null
  # The image is made of this one; without buildah it is built only here.
  make --no-print-directory -C "$copy" build-linux
  sums+=("$(cd "$copy/bin" && sha256sum linux-*/sequentialjob-controller release/*)")
  echo "${sums[-1]}"
}
build one/place
export GOCACHE=$work/cache
build another/one/further/down
[[ ${sums[0]} == "${sums[1]}" ]] || { echo "The two builds differ" >&2; exit 1; }
echo "The two builds are the same"
