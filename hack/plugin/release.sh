#!/usr/bin/env bash
# Builds the archives of the kubectl plugin for a release into a directory, with their checksums and the manifest for krew:
#   VERSION=v1.2.3 COMMIT=... release.sh DIRECTORY [OS/ARCHITECTURE ...]
# The same sources give the same bits: no path, no user and no time of the build is in them. SOURCE_DATE_EPOCH is the time of all files
# in the archives; default: that of the commit, or 0 where there is no git.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[[ $# -gt 0 && -n ${VERSION:-} ]] || { sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }
# shellcheck source=../go.sh
source "$root/hack/go.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
platforms=("$@")
[[ ${#platforms[@]} -gt 0 ]] || platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)
cd "$root"
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
package=k8s.io/component-base/version
# Where the archives can be downloaded from; krew asks for it.
url=${RELEASE_URL:-https://github.com/example/sequential-job-operator/releases/download/$VERSION}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# archive OS ARCHITECTURE: builds one.
archive() {
  local os=$1 architecture=$2 folder=$work/$1-$2 program=kubectl-sequentialjob
  local name=kubectl-sequentialjob_${VERSION}_${os}_$architecture.tar.gz
  if [[ $os == windows ]]; then
    program+=.exe
  fi
  mkdir -p "$folder"
  GOOS=$os GOARCH=$architecture CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X $package.gitVersion=$VERSION -X $package.gitCommit=${COMMIT:-}" -o "$folder/$program" ./cmd/kubectl-sequentialjob
  cp LICENSE "$folder/LICENSE"
  chmod 755 "$folder/$program"
  chmod 644 "$folder/LICENSE"
  tar -C "$folder" --format=ustar --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner -cf - "$program" LICENSE |
    gzip -n -9 >"$out/$name"
  (cd "$out" && sha256sum "$name")
  {
    echo "    - selector:"
    echo "        matchLabels:"
    echo "          os: $os"
    echo "          arch: $architecture"
    echo "      uri: $url/$name"
    echo "      sha256: $(sha256sum "$out/$name" | cut -d' ' -f1)"
    echo "      bin: $program"
  } >>"$work/platforms"
}

rm -f "$out"/kubectl-sequentialjob_* "$out/SHA256SUMS" "$out/sequentialjob.yaml"
for platform in "${platforms[@]}"; do
  archive "${platform%/*}" "${platform#*/}"
done
(cd "$out" && sha256sum kubectl-sequentialjob_*.tar.gz >SHA256SUMS)
awk -v version="$VERSION" -v platforms="$work/platforms" '
  /^#/ { next }
  { gsub(/@VERSION@/, version) }
  /@PLATFORMS@/ { while ((getline line < platforms) > 0) print line; next }
  { print }' hack/plugin/krew.yaml.in >"$out/sequentialjob.yaml"
echo "Wrote ${#platforms[@]} archives, SHA256SUMS and sequentialjob.yaml (for krew) to $out"
