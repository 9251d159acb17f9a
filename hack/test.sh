#!/usr/bin/env bash
# Runs the tests: test.sh unit|integration|faults|e2e|all, or test.sh faults-full for every fault everywhere (half an hour)
# It builds and starts what a suite needs, and stops it again, also after a failure; KEEP_CLUSTER=1 leaves it up.
# The last lines tell which faults were injected, and how many tests of each suite ran.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=go.sh
source "$root/hack/go.sh"
export PATH=$root/bin/cluster:$root/bin/tools:$PATH
reports=$root/bin/test-reports
mkdir -p "$reports"
failed=0
summary=()
# The tests that inject faults add to it what they did.
export FAULTS_REPORT=$reports/faults.jsonl

# The modules that have tests, in addition to the root one.
modules=(hack/bench hack/crd hack/compat hack/demo/data-tools hack/sbom)

# need PROGRAM WHY PACKAGE...: installs the Debian packages of a program that is missing; a user who cannot is told what to install.
need() {
  local program=$1 why=$2
  shift 2
  if command -v "$program" >/dev/null; then
    return
  fi
  if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "$program is missing, $why; on Debian: apt-get install $*" >&2
    return
  fi
  echo "Installing $program, $why"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Set when something of the current suite failed: what could not be built or started has no failed test to count.
broken=0

# go_test SUITE DIRECTORY ARGUMENTS...: runs `go test` there and adds its results to the suite's report.
go_test() {
  local suite=$1 directory=$2 name
  shift 2
  name=$suite-$(tr / - <<<"$directory")
  (cd "$directory" && without_downloads gotestsum --format "${TEST_FORMAT:-pkgname}" --jsonfile "$reports/$name.json" -- \
    -race -count=1 "$@") || broken=1
}

# count SUITE: adds up what the reports of a suite say. Subtests count, as tests of their own.
count() {
  local suite=$1 passed bad skipped
  passed=$(cat "$reports/$suite"-*.json 2>/dev/null | grep -c '"Action":"pass".*"Test":' || true)
  bad=$(cat "$reports/$suite"-*.json 2>/dev/null | grep -c '"Action":"fail".*"Test":' || true)
  skipped=$(cat "$reports/$suite"-*.json 2>/dev/null | grep -c '"Action":"skip".*"Test":' || true)
  if [[ $((passed + bad)) -eq 0 ]]; then
    echo "Suite $suite ran no test" >&2
    broken=1
  fi
  if [[ $bad -eq 0 ]]; then
    bad=$broken
  fi
  if [[ $bad -ne 0 ]]; then
    failed=1
  fi
  summary+=("$suite $passed $bad $skipped")
}

unit() {
  local module
  go_test unit . -timeout 30m ./... # the model alone takes minutes under the race detector
  for module in "${modules[@]}"; do
    go_test unit "$module" ./...
  done
}

# One package after another (-p 1): each installs for all others what it needs in the cluster, and may take it away again.
integration() {
  export CLUSTER_NAME=integration NODES=simulated
  if ! hack/cluster/cluster.sh up; then
    broken=1
  else
    AUDIT_LOG=$(hack/cluster/cluster.sh audit-log) KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig) KUBECTL=$root/bin/cluster/kubectl \
      go_test integration . -tags integration -p 1 -skip '^TestFaults' -timeout 20m ./hack/test/...
  fi
  show_cluster_logs
  stop_cluster
}

# A cluster of its own: these tests stop and kill parts of it. The tests of the same package that inject faults into the
# controller alone belong to the integration suite; they are run here as well when all is wanted, because it is so much then.
faults() {
  local run='^TestFaults' arguments=()
  if [[ -n $faults_full ]]; then
    run=. arguments=(-args -faults.full)
  fi
  export CLUSTER_NAME=faults NODES=simulated
  if ! hack/cluster/cluster.sh up; then
    broken=1
  else
    AUDIT_LOG=$(hack/cluster/cluster.sh audit-log) KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig) KUBECTL=$root/bin/cluster/kubectl \
      go_test faults . -tags integration -run "$run" -timeout 60m ./hack/test/faults "${arguments[@]}"
  fi
  if [[ -n $faults_full ]]; then
    # Pure functions and one goroutine: the race detector would find nothing, and take ten times as long.
    go_test faults pkg/sequence -race=false -run 'TestTheProtocol|TestEach|TestRandomWalk' -timeout 60m . \
      -args -model.full -walk.count=20000
  fi
  show_cluster_logs
  stop_cluster
}

e2e() {
  need tmux "in which the plugin's live view is tested" tmux
  need jq "which commands of the docs use" jq
  need curl "which commands of the docs use" curl
  export CLUSTER_NAME=e2e NODES=real
  if ! hack/tools/build.sh helm || ! make --no-print-directory cluster-ready; then
    broken=1
  elif [[ $(hack/cluster/cluster.sh nodes) != real ]]; then
    echo "The e2e suite needs a real node, which this machine cannot have: see above" >&2
    broken=1
  else
    KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig) KUBECTL=$root/bin/cluster/kubectl \
      go_test e2e . -tags e2e -parallel 4 -timeout 40m ./hack/test/e2e
  fi
  if [[ $broken -ne 0 ]]; then
    show_controller_log
  fi
  show_cluster_logs
  stop_cluster
}

show_controller_log() {
  echo "The last lines of the logs of the controller's replicas, of which one works:" >&2
  KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig) kubectl logs --prefix --tail=100 -n sequential-operator-system \
    -l app.kubernetes.io/name=sequential-job-operator >&2 || true
}

# Only after a failure, and before stop_cluster removes them.
show_cluster_logs() {
  local log run
  run=$(dirname "$(hack/cluster/cluster.sh kubeconfig)")
  if [[ $broken -eq 0 ]]; then
    return
  fi
  for log in "$run/logs/kubelet.log" "$run/kwok/clusters/$CLUSTER_NAME/logs/"{kube-controller-manager,kwok-controller}.log; do
    if [[ -s $log ]]; then
      printf 'The last lines of %s:\n' "$log" >&2
      tail -n 100 "$log" >&2
    fi
  done
}

stop_cluster() {
  if [[ -n ${CLUSTER_NAME:-} && -z ${KEEP_CLUSTER:-} ]]; then
    hack/cluster/cluster.sh down || failed=1
  fi
  unset CLUSTER_NAME
}

print_faults() {
  if [[ -s $FAULTS_REPORT ]]; then
    printf '\n'
    sed -n 's/^{"fault":"\(.*\)","injected":\([0-9]*\),"sequences":\([0-9]*\),"violations":\([0-9]*\)}$/\1|\2|\3|\4/p' "$FAULTS_REPORT" |
      awk -F'|' '
        function row(a, b, c, d) { printf "| %-48s | %8s | %9s | %10s |\n", a, b, c, d }
        BEGIN { row("fault", "injected", "sequences", "violations"); row("---", "---:", "---:", "---:") }
        { row($1, $2, $3, $4); injected += $2; sequences += $3; violations += $4 }
        END { row("all", injected, sequences, violations) }'
  fi
}

print_summary() {
  local row suite passed bad skipped total_passed=0 total_bad=0 total_skipped=0
  printf '\n%-12s %7s %7s %8s\n' SUITE PASSED FAILED SKIPPED
  for row in "${summary[@]}"; do
    read -r suite passed bad skipped <<<"$row"
    printf '%-12s %7d %7d %8d\n' "$suite" "$passed" "$bad" "$skipped"
    total_passed=$((total_passed + passed)) total_bad=$((total_bad + bad)) total_skipped=$((total_skipped + skipped))
  done
  printf '\n%d passed, %d failed, %d skipped\n' "$total_passed" "$total_bad" "$total_skipped"
}

faults_full=
case ${1:-} in
  unit | integration | faults | e2e) suites=("$1") ;;
  faults-full) suites=(faults) faults_full=1 ;;
  all) suites=(unit integration faults e2e) ;;
  *)
    sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
unset CLUSTER CLUSTER_NAME # a suite makes its own, and stops no other
# Whatever ends this script ends its cluster too.
trap stop_cluster EXIT
trap 'exit 130' INT TERM
need gcc "which the race detector needs" gcc libc6-dev
hack/tools/build.sh gotestsum
rm -f "$reports"/*.json "$FAULTS_REPORT"
for suite in "${suites[@]}"; do
  printf '\n== %s tests\n' "$suite"
  broken=0
  "$suite"
  count "$suite"
done
print_faults
print_summary
exit "$failed"
