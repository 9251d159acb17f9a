#!/usr/bin/env bash
# Builds what the test cluster is made of into bin/cluster/, each binary only if it is missing or its version has changed:
# Kubernetes, etcd and kwok, from the Go modules pinned in the folders beside this script.
# About 15 minutes on 2 cores with cold caches; no time at all after that.
# With K8S_VERSION (1.34.4, say), the control plane of that version is built into bin/cluster-VERSION/.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/bin/cluster
mkdir -p "$out"
# shellcheck source=../go.sh
source "$here/../go.sh"
export CGO_ENABLED=0 GOFLAGS=-trimpath GOWORK=off

module_version() { (cd "$here/$1" && go list -m -f '{{.Version}}' "$2"); }

# The flags that Kubernetes' own build stamps its version with; without them it calls itself v0.0.0-master.
kubernetes_ldflags() {
  local version=$1 pkg out="-s -w" minor
  minor=${version#v1.}
  minor=${minor%%.*}
  for pkg in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
    out+=" -X $pkg.gitVersion=$version -X $pkg.gitMajor=1 -X $pkg.gitMinor=$minor -X $pkg.gitTreeState=clean"
  done
  echo "$out"
}

# build DIRECTORY NAME PACKAGE VERSION LDFLAGS
build() {
  local directory=$1 name=$2 pkg=$3 version=$4 ldflags=$5 begin=$SECONDS
  if [[ -x $out/$name && $(cat "$out/$name.version" 2>/dev/null) == "$version" ]]; then
    return
  fi
  printf '  building %-24s %s ... ' "$name" "$version"
  (cd "$directory" && go build -ldflags "$ldflags" -o "$out/$name" "$pkg")
  echo "$version" >"$out/$name.version"
  printf '%ss\n' $((SECONDS - begin))
}

# other_module DIRECTORY VERSION: makes a module of another Kubernetes than the pinned one, as that one is made: with the
# staging modules that the version was released with.
other_module() {
  local directory=$1 version=$2 name file
  [[ ! -e $directory/go.sum ]] || return 0
  rm -rf "$directory"
  mkdir -p "$directory"
  cd "$directory"
  go mod init kubernetes
  go mod edit -require="k8s.io/kubernetes@$version"
  for name in "${control_plane[@]}"; do go mod edit -tool="k8s.io/kubernetes/cmd/$name"; done
  file=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  while read -r name; do
    go mod edit -replace="$name=$name@v0.${version#v1.}"
  done < <(sed -n 's|^\t*\(k8s.io/[a-z0-9-]*\) => ./staging/.*|\1|p' "$file")
  go mod tidy
}

control_plane=(kube-apiserver kube-controller-manager kube-scheduler)
want=("$@")
if [[ ${#want[@]} -eq 0 ]]; then
  want=(etcd kwok kwokctl "${control_plane[@]}" kubectl kubelet kube-proxy)
fi

kubernetes=$(module_version kubernetes k8s.io/kubernetes)
etcd=$(module_version etcd go.etcd.io/etcd/server/v3)
kwok=$(module_version kwok sigs.k8s.io/kwok)
for name in "${want[@]}"; do
  case $name in
    etcd) build "$here/etcd" etcd go.etcd.io/etcd/server/v3 "$etcd" "-s -w" ;;
    kwok | kwokctl)
      build "$here/kwok" "$name" "sigs.k8s.io/kwok/cmd/$name" "$kwok" "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=$kwok" ;;
    *) build "$here/kubernetes" "$name" "k8s.io/kubernetes/cmd/$name" "$kubernetes" "$(kubernetes_ldflags "$kubernetes")" ;;
  esac
done

if [[ -n ${K8S_VERSION:-} && v${K8S_VERSION#v} != "$kubernetes" ]]; then
  other=v${K8S_VERSION#v}
  out=$root/bin/cluster-$other
  mkdir -p "$out"
  (other_module "$out/module" "$other") >"$out/module.log" 2>&1 || { cat "$out/module.log" >&2; exit 1; }
  for name in "${control_plane[@]}"; do
    build "$out/module" "$name" "k8s.io/kubernetes/cmd/$name" "$other" "$(kubernetes_ldflags "$other")"
  done
fi
