#!/usr/bin/env bash
# Makes all that a release has, in a directory, which replaces that of an earlier release:
#   VERSION=v1.2.3 release.sh DIRECTORY
# The same commit gives the same bits, with the same Go, buildah and gzip: no path, no user and no time of the build is in them.
#
#   RELEASE_IMAGE        name of the image, without a tag (default: ghcr.io/example/sequential-job-operator)
#   ARCHITECTURES        of the image (default: "amd64 arm64"; empty: no image)
#   PLUGIN_PLATFORMS     of the kubectl plugin (default: all that hack/plugin/release.sh has)
#   COMMIT               what the programs report (default: that of the working tree)
#   SOURCE_DATE_EPOCH    time of all files (default: that of the commit, or 0 where there is no git)
#   HELM                 a helm to package the chart with (default: the pinned one, which is built if it is missing)
#   ALLOW_DIRTY=1        make it from a working tree with changes, to try it
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=go.sh
source "$root/hack/go.sh"

die() {
  echo "release.sh: $*" >&2
  exit 1
}

check() {
  local number='(0|[1-9][0-9]*)' part='(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)' changes
  [[ $VERSION =~ ^v$number\.$number\.$number(-$part(\.$part)*)?$ ]] ||
    die "VERSION is \"$VERSION\"; it has to look like v1.2.3 or v1.2.3-rc.1"
  if [[ -z ${ALLOW_DIRTY:-} ]]; then
    changes=$(git -C "$root" status --porcelain) || die "this is no working tree of git; ALLOW_DIRTY=1 makes a release nevertheless"
    [[ -z $changes ]] || die "the working tree has changes, which no commit has; ALLOW_DIRTY=1 makes a release nevertheless:"$'\n'"$changes"
  fi
}

# archive_gz OUT DIRECTORY NAME
archive_gz() {
  tar -C "$2" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - "$3" |
    gzip -n -9 >"$1"
}

plugin() {
  local platforms
  read -ra platforms <<<"${PLUGIN_PLATFORMS:-}"
  hack/plugin/release.sh "$out" "${platforms[@]}"
}

# The binaries, the image made of them, and what they are made of.
image() {
  local arch architectures
  read -ra architectures <<<"${ARCHITECTURES-amd64 arm64}"
  for arch in "${architectures[@]}"; do
    GOFLAGS=-buildvcs=false make --no-print-directory build-linux ARCH="$arch" VERSION="$VERSION" COMMIT="$COMMIT"
    CGO_ENABLED=0 GOFLAGS=-trimpath go -C hack/sbom run . -binary "$root/bin/linux-$arch/sequentialjob-controller" \
      >"$out/sequentialjob-controller_${VERSION}_linux_$arch.spdx.json"
  done
  if [[ ${#architectures[@]} -gt 0 ]]; then
    hack/images.sh oci . Dockerfile "$image:$VERSION" "$out/sequential-job-operator_${VERSION}_image.tar" "${architectures[@]}"
  fi
}

manifests() {
  sed "s|image: sequential-job-operator:latest$|image: $image:$VERSION|" manifests/install.yaml >"$out/install.yaml"
  grep -qF "image: $image:$VERSION" "$out/install.yaml" || die "manifests/install.yaml has no image sequential-job-operator:latest"
}

# Helm's own archives carry the time at which they were made, so it only sets the version.
chart() {
  local helm=${HELM:-}
  if [[ -z $helm ]]; then
    hack/tools/build.sh helm
    helm=$root/bin/tools/helm
  fi
  cp -R manifests/chart "$work/chart"
  sed -i "s|^  repository: sequential-job-operator$|  repository: $image|" "$work/chart/values.yaml"
  grep -qFx "  repository: $image" "$work/chart/values.yaml" || die "values.yaml of the chart has no repository sequential-job-operator"
  "$helm" package "$work/chart" --version "${VERSION#v}" --app-version "$VERSION" --destination "$work" >/dev/null
  mkdir "$work/packaged"
  tar -C "$work/packaged" -xzf "$work/sequential-job-operator-${VERSION#v}.tgz"
  archive_gz "$out/sequential-job-operator-${VERSION#v}.tgz" "$work/packaged" sequential-job-operator
}

[[ $# -eq 1 && -n ${VERSION:-} ]] || { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
check
target=$(realpath -m "$1")
# It is replaced, so it must not hold what nobody wants to lose.
[[ ! -e $target || -f $target/SHA256SUMS || -z $(ls -A "$target") ]] || die "$1 holds something else than a release: name another directory"
cd "$root"
image=${RELEASE_IMAGE:-ghcr.io/example/sequential-job-operator}
export VERSION COMMIT=${COMMIT-$(git rev-parse HEAD 2>/dev/null || true)}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/release
mkdir "$out"
export HELM_CONFIG_HOME=$work HELM_CACHE_HOME=$work HELM_DATA_HOME=$work
plugin >/dev/null
image
manifests
chart
(cd "$out" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >"$work/sums" && mv "$work/sums" SHA256SUMS)
rm -rf "$target"
mkdir -p "$(dirname "$target")"
mv "$out" "$target"
echo "The release $VERSION, in $1:"
(cd "$target" && du -h -- *)
