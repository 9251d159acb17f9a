#!/usr/bin/env bash
# Builds and inspects images, with or without a container engine.
#
#   images.sh build CONTEXT DOCKERFILE TAG OUT.tar   builds an image and writes it, as a docker archive, to OUT.tar
#   images.sh push TAG                               pushes an image that was built so
#   images.sh oci CONTEXT DOCKERFILE TAG OUT.tar ARCH ...   builds an image for some architectures, as an archive of an OCI layout
#   images.sh names ARCHIVE.tar                      prints the names of the images in an archive, one a line
#
# CONTAINER_TOOL may name docker, podman or buildah. If it is unset, or does not work here (docker without its daemon),
# buildah is used, which needs no daemon; as root on a Debian system it is installed if it is missing.
# ARCH is the architecture of the image (default: this machine's). Nothing is built again that did not change, but for the OCI
# layout. Only buildah makes that one: the same sources give the same bits, with the same buildah. SOURCE_DATE_EPOCH is the time of
# all in it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
store=$root/bin/images/buildah

die() {
  echo "images.sh: $*" >&2
  exit 1
}

# full_name TAG: the name as container runtimes resolve it. Without it buildah and podman would name the image
# localhost/..., which no kubelet looks for.
full_name() {
  local tag=$1 first=${1%%/*}
  if [[ $tag != */* ]]; then
    tag=docker.io/library/$tag
  elif [[ $first != *.* && $first != *:* && $first != localhost ]]; then
    tag=docker.io/$tag
  fi
  if [[ ${tag##*/} != *:* ]]; then
    tag+=:latest
  fi
  echo "$tag"
}

works() {
  case $1 in
    docker | podman) "$1" info >/dev/null 2>&1 ;;
    buildah) command -v buildah >/dev/null ;;
    *) return 1 ;;
  esac
}

install_buildah() {
  if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    die "no tool works here to build images with: start docker, or install podman or buildah"
  fi
  echo "  installing buildah" >&2
  if ! apt-get install -y --no-install-recommends buildah >/dev/null 2>&1; then
    apt-get update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends buildah >/dev/null
  fi
}

choose_tool() {
  local tool=${CONTAINER_TOOL:-docker}
  if ! works "$tool"; then
    tool=buildah
    works buildah || install_buildah
  fi
  echo "$tool"
}

# chroot isolation and the vfs driver work where there are neither user namespaces nor overlay mounts, such as in a
# container. The store is the project's own: nothing else on the machine is touched.
buildah_here() {
  local command=$1
  shift
  buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$command" "$@"
}

# fingerprint CONTEXT DOCKERFILE NAME ARCH: changes when the image would. .dockerignore allows only what is in bin/linux-*.
fingerprint() {
  local context=$1 dockerfile=$2 files=$1
  if [[ $(realpath "$context") == "$root" ]]; then
    files=$root/bin/linux-$4
  fi
  {
    echo "$3 $4"
    cat "$dockerfile" "${BASH_SOURCE[0]}"
    tar -C "$files" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - .
  } | sha256sum | cut -d' ' -f1
}

# Its commands are chained by &&: its caller tests it, which switches "set -e" off in here.
build_with() {
  local tool=$1 context=$2 dockerfile=$3 name=$4 out=$5 arch=$6
  local args=(--platform "linux/$arch" --build-arg TARGETOS=linux --build-arg "TARGETARCH=$arch" -f "$dockerfile")
  case $tool in
    docker)
      docker build --quiet "${args[@]}" -t "$name" "$context" &&
        docker save -o "$out" "$name"
      ;;
    podman)
      podman build --quiet "${args[@]}" -t "$name" "$context" &&
        podman save --quiet --format docker-archive -o "$out" "$name"
      ;;
    buildah)
      # The prune is for the image whose name this one takes: it would stay in the store forever.
      buildah_here bud --quiet --isolation chroot --timestamp 0 "${args[@]}" -t "$name" "$context" &&
        buildah_here push --quiet "$name" "docker-archive:$out:$name" &&
        buildah_here rmi --prune
      ;;
  esac
}

build() {
  local context=$1 dockerfile=$2 name arch=${ARCH:-} out=$4 tool sum log begin=$SECONDS
  name=$(full_name "$3")
  if [[ -z $arch ]]; then
    arch=$(go env GOARCH)
  fi
  sum=$(fingerprint "$context" "$dockerfile" "$name" "$arch")
  if [[ -f $out && $(cat "$out.sum" 2>/dev/null) == "$sum" ]]; then
    return
  fi
  tool=$(choose_tool)
  mkdir -p "$(dirname "$out")"
  rm -f "$out" "$out.sum" "$out.partial"
  log=$out.log
  printf '  building image %-28s with %s ... ' "$3" "$tool"
  if ! build_with "$tool" "$context" "$dockerfile" "$name" "$out.partial" "$arch" >"$log" 2>&1; then
    rm -f "$out.partial"
    echo failed
    cat "$log" >&2
    exit 1
  fi
  if [[ $(names "$out.partial") != "$name" ]]; then
    die "the archive holds \"$(names "$out.partial")\" instead of $name"
  fi
  mv "$out.partial" "$out"
  echo "$sum" >"$out.sum"
  printf '%ss\n' $((SECONDS - begin))
}

# oci_layout NAME DIRECTORY CONTEXT DOCKERFILE ARCH ...: one index, with an image for each architecture.
oci_layout() {
  local name=$1 directory=$2 context=$3 dockerfile=$4 time=${SOURCE_DATE_EPOCH:-0} arch
  shift 4
  buildah_here manifest rm "$name" >/dev/null 2>&1 || true
  buildah_here manifest create "$name" >/dev/null
  for arch in "$@"; do
    buildah_here bud --quiet --isolation chroot --timestamp "$time" --identity-label=false --format oci --platform "linux/$arch" \
      --build-arg TARGETOS=linux --build-arg "TARGETARCH=$arch" --manifest "$name" -f "$dockerfile" "$context" >/dev/null
  done
  buildah_here manifest push --quiet --all --format oci "$name" "oci:$directory:$name" >/dev/null
  buildah_here manifest rm "$name" >/dev/null
  buildah_here rmi --prune >/dev/null
}

oci() {
  local context=$1 dockerfile=$2 name out=$4
  name=$(full_name "$3")
  shift 4
  works buildah || install_buildah
  mkdir -p "$(dirname "$out")"
  layout=$(mktemp -d)
  trap 'rm -rf "$layout"' EXIT
  oci_layout "$name" "$layout" "$context" "$dockerfile" "$@"
  tar -C "$layout" --format=ustar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -cf "$out" .
}

names() {
  tar -xOf "$1" manifest.json | grep -o '"RepoTags":\[[^]]*\]' | cut -d: -f2- | grep -o '"[^"]*"' | tr -d '"' |
    while read -r name; do full_name "$name"; done
}

push() {
  local tool name
  name=$(full_name "$1")
  tool=$(choose_tool)
  case $tool in
    buildah) buildah_here push "$name" ;;
    *) "$tool" push "$name" ;;
  esac
}

case "${1:-}:$#" in
  build:5) build "${@:2}" ;;
  oci:[6-9] | oci:[1-9][0-9]) oci "${@:2}" ;;
  push:2) push "$2" ;;
  names:2) names "$2" ;;
  *)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
