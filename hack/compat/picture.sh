#!/usr/bin/env bash
# Draws docs/dashboard.png: runs a controller, a load of SequentialJobs and a Prometheus that reads its metrics and has the alerts,
# asks it what the panels of the dashboard show, and draws that. It fails if a panel has no data. About six minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CLUSTER_NAME=monitoring NODES=simulated
if ! command -v prometheus >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus
fi
work=$(mktemp -d)
pids=()
finish() {
  kill "${pids[@]}" 2>/dev/null || true
  wait
  hack/cluster/cluster.sh down
  rm -rf "$work"
}
trap finish EXIT

make --no-print-directory build
hack/cluster/cluster.sh up
KUBECONFIG=$(hack/cluster/cluster.sh kubeconfig)
export KUBECONFIG PATH=$PWD/bin/cluster:$PATH
kubectl apply -f manifests/crd.yaml -f manifests/controller/namespace.yaml -f manifests/controller/rbac.yaml
KUBECTL=kubectl hack/wait-for-crd.sh
kubectl create clusterrolebinding reader --clusterrole=sequential-operator-metrics-reader --serviceaccount=default:default
kubectl create token default --duration=1h >"$work/token"
for port in 18443 18444; do
  bin/sequentialjob-controller --leader-elect --bind-address=127.0.0.1 --port=$port 2>"$work/controller-$port.log" &
  pids+=($!)
done
promtool check rules manifests/monitoring/alerts.yaml
promtool test rules hack/compat/testdata/alerts.yaml
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: [$PWD/manifests/monitoring/alerts.yaml]
scrape_configs:
  - job_name: sequentialjob
    scheme: https
    authorization: {credentials_file: $work/token}
    tls_config: {insecure_skip_verify: true}
    static_configs: [{targets: ["127.0.0.1:18443", "127.0.0.1:18444"]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address=127.0.0.1:19090 2>"$work/prometheus.log" &
pids+=($!)

# sequence NAMESPACE SPEC: creates one of three steps.
sequence() {
  kubectl create -f - >/dev/null <<YAML
apiVersion: batch.example.com/v1alpha1
kind: SequentialJob
metadata: {generateName: load-, namespace: $1}
spec:
  containers: [{name: extract, image: a}, {name: transform, image: b}, {name: load, image: c}]
  ttlSecondsAfterFinished: 60
$2
YAML
}
kubectl create namespace etl
kubectl create namespace crowded
kubectl create quota none --namespace=crowded --hard=count/jobs.batch=0
sequence crowded ""
sequence etl "  suspend: true"
end=$((SECONDS + ${LOAD_SECONDS:-300}))
while ((SECONDS < end)); do
  for ((i = RANDOM % 5; i >= 0; i--)); do sequence etl ""; done
  if ((RANDOM % 4 == 0)); then sequence etl $'  activeDeadlineSeconds: 5\n  template: {spec: {nodeSelector: {example.com/nowhere: "true"}}}'; fi
done
go -C hack/compat run ./picture -prometheus=http://127.0.0.1:19090 -out="$PWD/docs/dashboard.png"
curl -sS http://127.0.0.1:19090/api/v1/rules | grep -o '"name":"SequentialJob[A-Za-z]*"[^}]*"health":"[a-z]*"' | sed 's/,.*health/ health/' | sort -u
