#!/usr/bin/env bash
# Measures what the CRD costs the API server for each status write, beside the same CRD without CEL rules and beside no
# schema at all, and prints the table of docs/crd-cost.md. Usage: hack/bench/crd-cost.sh [-rounds N] [-writes N] [-before FILE]
# -before names another version of the CRD (an absolute path), which is measured beside it.
# It starts an etcd and a kube-apiserver of its own on loopback, because it counts the CPU time of that process: nothing
# else may use it. Takes some 5 minutes once bin/cluster is built; the fewer others use the machine, the truer the figures.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../go.sh
source "$root/hack/go.sh"
bin=$root/bin/cluster
work=$(mktemp -d)
pids=()

cleanup() {
  # In reverse, so that the API server does not spend its last moments looking for etcd.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  rm -rf "$work"
}

free_port() {
  local port
  while port=$((20000 + RANDOM)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

start_etcd() {
  local client=$1 peer
  peer=$(free_port)
  "$bin/etcd" --data-dir "$work/etcd" --log-level error --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "default=http://127.0.0.1:$peer" >"$work/etcd.log" 2>&1 &
  pids+=($!)
}

start_apiserver() {
  local etcd=$1 port=$2 token
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
  echo "$token,bench,bench,system:masters" >"$work/tokens.csv"
  "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd" --cert-dir "$work/pki" \
    --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" --endpoint-reconciler-type none \
    --token-auth-file "$work/tokens.csv" --authorization-mode RBAC \
    --service-account-key-file "$work/sa.key" --service-account-signing-key-file "$work/sa.key" \
    --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.0.0.0/24 \
    >"$work/apiserver.log" 2>&1 &
  pids+=($!)
  cat >"$work/kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:$port", insecure-skip-tls-verify: true}}]
users: [{name: bench, user: {token: $token}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
current-context: bench
EOF
}

wait_ready() {
  for _ in {1..60}; do
    if "$bin/kubectl" --kubeconfig "$work/kubeconfig" get --raw /readyz >/dev/null 2>&1; then return; fi
    sleep 1
  done
  echo "the API server did not become ready within 60 s; its last words:" >&2
  tail -20 "$work/apiserver.log" "$work/etcd.log" >&2
  exit 1
}

"$root/hack/cluster/build.sh" etcd kube-apiserver kubectl >&2
trap cleanup EXIT
etcd_port=$(free_port)
start_etcd "$etcd_port"
start_apiserver "$etcd_port" "$(free_port)"
wait_ready
go -C "$root/hack/bench" run ./crdcost -kubeconfig "$work/kubeconfig" -pid "${pids[1]}" -crd "$root/manifests/crd.yaml" "$@"
