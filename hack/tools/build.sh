#!/usr/bin/env bash
# Builds the named tools, pinned in the go.mod files beside this script, into bin/tools/, unless they are there already:
#   build.sh controller-gen gotestsum golangci-lint
# golangci-lint and helm take a few minutes with cold caches, the others seconds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/bin/tools
mkdir -p "$out"
# shellcheck source=../go.sh
source "$here/../go.sh"

# build NAME MODULE_DIR PACKAGE [LDFLAGS]
build() {
  local name=$1 module=$2 package=$3 ldflags=${4:-} pin begin=$SECONDS
  # A linter that an older Go built refuses code for a newer one.
  pin=$({ go env GOVERSION; cat "$module/go.mod"; } | sha256sum | cut -d' ' -f1)
  if [[ -x $out/$name && $(cat "$out/$name.pin" 2>/dev/null) == "$pin" ]]; then
    return
  fi
  printf '  building %s ... ' "$name" >&2
  (cd "$module" && GOWORK=off go build -trimpath -ldflags "-s -w $ldflags" -o "$out/$name" "$package")
  echo "$pin" >"$out/$name.pin"
  printf '%ss\n' $((SECONDS - begin)) >&2
}

for name in "$@"; do
  case $name in
    controller-gen) build "$name" "$here" sigs.k8s.io/controller-tools/cmd/controller-gen ;;
    gotestsum) build "$name" "$here" gotest.tools/gotestsum ;;
    golangci-lint) build "$name" "$here/lint" sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter ;;
    helm)
      # Without a version of its own it would take every chart that asks for one to be too new.
      version=$(cd "$here/helm" && GOWORK=off go list -m -f '{{.Version}}' helm.sh/helm/v4)
      build "$name" "$here/helm" helm.sh/helm/v4/cmd/helm "-X helm.sh/helm/v4/internal/version.version=$version"
      ;;
    *)
      echo "build.sh: no tool is called $name" >&2
      exit 2
      ;;
  esac
done
