#!/usr/bin/env bash
# Builds the images that the demo and the examples use, and loads them into the project's cluster:
#
#   data-tools/extractor:v1     extract, seed
#   data-tools/transformer:v1   transform
#   data-tools/loader:v1        load, query
#   data-tools/shell:v1         busybox: sh and the usual small programs
#   data-tools/kubectl:v1       kubectl, for artifacts/schedule; only for the project's cluster, which has one built
#
# images.sh        builds and loads all
# images.sh build  builds only; the archives are bin/images/*.tar
#
# Where CLUSTER=current they have to reach that cluster on a way of its own; this script then builds only, and says so.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/hack/demo/data-tools
out=$root/bin/images
# shellcheck source=../go.sh
source "$root/hack/go.sh"
ARCH=$(go env GOHOSTARCH)
export ARCH

# programs IMAGE PROGRAM...: compiles the programs into the root directory of the image
programs() {
  local image=$1 program packages=()
  shift
  for program in "$@"; do
    packages+=("./cmd/$program")
  done
  rm -rf "${out:?}/$image"
  mkdir -p "$out/$image/bin"
  (cd "$tools" && CGO_ENABLED=0 GOOS=linux GOARCH=$ARCH GOWORK=off \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$out/$image/bin/" "${packages[@]}")
}

# static_busybox: prints the path of a busybox that needs no libraries
static_busybox() {
  local busybox
  busybox=$(command -v busybox) || return 1
  # ldd says so in one of two ways, and with either exit code.
  [[ $(LC_ALL=C ldd "$busybox" 2>&1 || true) =~ "not a dynamic executable"|"statically linked" ]] || return 1
  echo "$busybox"
}

install_busybox() {
  if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    return 1
  fi
  echo "  installing busybox-static, for data-tools/shell:v1"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y busybox-static >/dev/null 2>&1 ||
    { apt-get update && apt-get install -y busybox-static; } >/dev/null
}

shell() {
  local busybox applet
  if ! busybox=$(static_busybox) && ! { install_busybox && busybox=$(static_busybox); }; then
    echo "images.sh: data-tools/shell:v1 needs a static busybox in PATH (Debian: the package busybox-static)" >&2
    exit 1
  fi
  rm -rf "${out:?}/shell"
  mkdir -p "$out/shell/bin" "$out/shell/tmp"
  chmod 1777 "$out/shell/tmp"
  install -m 0755 "$busybox" "$out/shell/bin/busybox"
  for applet in $("$busybox" --list); do
    if [[ $applet != busybox ]]; then
      ln -s busybox "$out/shell/bin/$applet"
    fi
  done
}

load=yes
if [[ ${1:-} == build ]]; then
  load=no
elif [[ ${CLUSTER:-} == current ]]; then
  load=no
  echo "CLUSTER=current: the images are built, but this cannot load them into your cluster; do that with its own tools:"
  echo "  $out/{extractor,transformer,loader,shell}.tar"
fi
programs extractor extract seed
programs transformer transform
programs loader load query
shell
images=(extractor transformer loader shell)
if [[ $load == yes ]]; then
  install -D -m 0755 "$root/bin/cluster/kubectl" "$out/kubectl/bin/kubectl"
  images+=(kubectl)
fi
archives=()
for image in "${images[@]}"; do
  "$root/hack/images.sh" build "$out/$image" "$tools/images/$image.Dockerfile" "data-tools/$image:v1" "$out/$image.tar"
  archives+=("$out/$image.tar")
done
if [[ $load == yes ]]; then
  "$root/hack/cluster/cluster.sh" load "${archives[@]}"
fi
