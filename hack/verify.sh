#!/usr/bin/env bash
# Checks all that needs no running cluster. Every check runs, whatever the others say; the last lines tell which failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
export GOWORK=off
# shellcheck source=go.sh
source "$root/hack/go.sh"
failures=()

# Modules of Go code; those that only pin tools have nothing to vet.
modules=(. hack/crd hack/bench hack/compat hack/demo/data-tools hack/sbom hack/cluster/pause hack/dra)
pins=(hack/tools hack/tools/lint hack/tools/helm hack/cluster/kubernetes hack/cluster/etcd hack/cluster/kwok)

check() {
  local name=$1 begin=$SECONDS
  shift
  printf '== %s\n' "$name"
  if "$@"; then
    printf '   ok (%ss)\n' $((SECONDS - begin))
  else
    failures+=("$name")
    printf '   FAILED\n' >&2
  fi
}

tracked() { git ls-files --cached --others --exclude-standard -- "$@"; }

# Generates into a copy, so that nobody's edits are lost, and compares: what differs, what is missing and what is left over.
generated_files() (
  set -e
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  tracked | while read -r file; do [[ -e $file ]] && echo "$file"; done | tar -cf - -T - | tar -xf - -C "$copy"
  find "$copy/pkg" -name 'zz_generated.*' -delete
  rm -rf "$copy/pkg/generated" "$copy/manifests/crd.yaml" "$copy/manifests/install.yaml" "$copy/docs/cli.md"
  hack/generate.sh "$copy" >"$copy.log" 2>&1 || { cat "$copy.log"; exit 1; }
  rm -f "$copy.log"
  bad=0
  for path in pkg manifests docs/cli.md; do
    diff -rq "$path" "$copy/$path" || bad=1
  done
  [[ $bad -eq 0 ]] || echo "Run: make generate, and commit the result"
  # What is right here but not in git is missing everywhere else.
  untracked=$(git ls-files --others --exclude-standard -- pkg/generated manifests docs/cli.md 'pkg/apis/**/zz_generated.*')
  [[ -z $untracked ]] || { printf 'Add to git:\n%s\n' "$untracked"; bad=1; }
  exit $bad
)

formatting() {
  local unformatted
  unformatted=$(tracked '*.go' | xargs gofmt -l)
  [[ -z $unformatted ]] || { echo "Run gofmt -w on: $unformatted"; return 1; }
}

vet() {
  local module status=0
  for module in "${modules[@]}"; do
    go -C "$module" vet ./... || status=1
  done
  go vet -tags integration ./... && go vet -tags e2e ./... && return $status
}

lint() {
  local module status=0
  hack/tools/build.sh golangci-lint || return 1
  for module in "${modules[@]}"; do
    (cd "$module" && "$root/bin/tools/golangci-lint" run --allow-parallel-runners --config "$root/.golangci.yml" ./...) || status=1
  done
  return $status
}

module_files() {
  local module status=0
  for module in "${modules[@]}" "${pins[@]}"; do
    go -C "$module" mod tidy -diff >/dev/null 2>"$root/bin/tidy.log" || { echo "Run: go -C $module mod tidy"; cat bin/tidy.log; status=1; }
  done
  return $status
}

can_install() { [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; }

announce() {
  local program missing=()
  echo "The first time this takes about 6 minutes on 2 cores: it builds the linter, and compiles everything again to compare the bits."
  for program in shellcheck buildah; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    return
  elif can_install; then
    echo "It installs these Debian packages, which are missing: ${missing[*]}."
  else
    echo "Missing: ${missing[*]}. On Debian, run: apt-get install ${missing[*]}"
    echo "Without shellcheck only the syntax of scripts is checked; without buildah the image of the release is not compared."
  fi
}

scripts() {
  if ! command -v shellcheck >/dev/null && can_install; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends shellcheck >/dev/null
  fi
  if ! command -v shellcheck >/dev/null; then
    echo "   shellcheck is missing, so only the syntax is checked; to install it: apt-get install shellcheck"
    tracked '*.sh' .ci/run | xargs -n1 bash -n
    return
  fi
  # SC2317: the shellcheck of Debian 12 takes functions that are called by a name in a variable for dead.
  tracked '*.sh' .ci/run | xargs shellcheck -x --source-path=SCRIPTDIR --exclude=SC2317
}

manifests() {
  hack/cluster/build.sh kubectl && bin/cluster/kubectl kustomize manifests >/dev/null &&
    bin/cluster/kubectl kustomize manifests/namespaced >/dev/null
}

no_machine_paths() {
  ! git grep -nIE --untracked '(^|[^a-zA-Z0-9_.})-])/(root|home|work)/[a-z]' -- ':!*.sum'
}

mkdir -p bin
announce
check "generated files are up to date" generated_files
check "formatting" formatting
check "vet" vet
check "lint" lint
check "module files are tidy" module_files
check "scripts" scripts
check "manifests build" manifests
check "the chart renders what the manifests have" hack/chart/verify.sh
check "no paths of one machine" no_machine_paths
check "the build is reproducible" hack/reproducible.sh

if [[ ${#failures[@]} -gt 0 ]]; then
  printf '\nFailed: %s\n' "$(IFS=,; echo "${failures[*]}")" >&2
  exit 1
fi
printf '\nAll verified\n'
