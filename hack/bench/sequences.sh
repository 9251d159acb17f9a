#!/usr/bin/env bash
# Measures the controller beside a bare loop over Jobs, on a cluster made for it: sequences.sh [FLAGS of sequencebench ...]
# "sequences.sh -help" lists the flags. OUT is where results, plots and logs go (default: bin/bench).
# KEEP_CLUSTER=1 leaves the cluster up for the next time.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bench=$root/hack/bench
# shellcheck source=../go.sh
source "$root/hack/go.sh"
out=${OUT:-$root/bin/bench}
cluster=$root/hack/cluster/cluster.sh
export CLUSTER="" CLUSTER_NAME=${CLUSTER_NAME:-bench} NODES=simulated SIMULATED_NODES=25
export AUDIT_POLICY=$bench/cluster/audit-policy.yaml KWOK_STAGES=$bench/cluster/stages.yaml

build() {
  mkdir -p "$out"
  (cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$out/sequentialjob-controller" ./cmd/sequentialjob-controller)
  (cd "$bench" && CGO_ENABLED=0 go build -trimpath -o "$out/sequencebench" ./sequencebench)
}

install() {
  local file files=()
  for file in manifests/{crd,policy,user-roles,all-namespaces}.yaml manifests/controller/{namespace,rbac}.yaml hack/bench/cluster/ideal-loop.yaml; do
    files+=(-f "$root/$file")
  done
  # A role may come before its namespace: what is refused the first time is there the second.
  "$KUBECTL" apply --server-side --force-conflicts "${files[@]}" >"$out/install.log" 2>&1 ||
    "$KUBECTL" apply --server-side --force-conflicts "${files[@]}" >>"$out/install.log" 2>&1 ||
    { cat "$out/install.log" >&2; exit 1; }
  "$root/hack/wait-for-crd.sh" >/dev/null
}

stop_cluster() {
  if [[ -z ${KEEP_CLUSTER:-} ]]; then "$cluster" down; fi
}

build
case " $* " in
  *" -help "* | *" -h "*) exec "$out/sequencebench" -help ;;
  # What was measured already needs no cluster to be shown.
  *" -from "* | *" -from="*) exec "$out/sequencebench" "$@" ;;
esac
trap stop_cluster EXIT
trap 'exit 130' INT TERM
"$cluster" up
KUBECONFIG=$("$cluster" kubeconfig)
export KUBECONFIG KUBECTL=$root/bin/cluster/kubectl
install
pids=()
for component in kube-apiserver etcd kube-controller-manager kube-scheduler kwok-controller; do
  pids+=(-pid "$component=$("$cluster" pid "$component")")
done
"$out/sequencebench" -kubeconfig "$KUBECONFIG" -audit-log "$("$cluster" audit-log)" -etcd "$("$cluster" etcd)" "${pids[@]}" \
  -controller "$out/sequentialjob-controller" -source "$root" -out "$out" "$@"
