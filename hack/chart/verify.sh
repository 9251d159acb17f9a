#!/usr/bin/env bash
# Checks the Helm chart with the real helm: that it renders the same objects as the manifests, with all values at their defaults and
# for some namespaces; that its templates are valid with everything switched on; and that a bad value gets an error that names it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
# shellcheck source=../go.sh
source "$root/hack/go.sh"
hack/tools/build.sh helm
hack/cluster/build.sh kubectl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chart=manifests/chart
program=$work/chart
go build -o "$program" ./hack/chart

# Nothing of the user's own settings and repositories.
helm() { HELM_CONFIG_HOME=$work HELM_CACHE_HOME=$work HELM_DATA_HOME=$work bin/tools/helm "$@"; }

render() {
  local namespace=$1
  shift
  helm template sequentialjob "$chart" --namespace "$namespace" "$@"
}

# rejects FIELD ARGUMENTS...: expects an error that names the field.
rejects() {
  local field=$1 out
  shift
  if out=$(render system "$@" 2>&1 >/dev/null) || [[ $out != *"$field"* ]]; then
    printf 'The chart should refuse %s and name %s. It says: %s\n' "$*" "$field" "$out" >&2
    return 1
  fi
}

cat >"$work/everything.yaml" <<'YAML'
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", pullSecrets: [{name: registry}]}
namespaces: [team-a, team-b]
nameSuffix: -teams
args: [--workers=100]
resources: {requests: {cpu: 1}, limits: {memory: 2Gi}}
podLabels: {a: b}
podAnnotations: {a: "true"}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: system-cluster-critical
service: {labels: {a: b}, annotations: {a: b}}
monitoring: {serviceMonitor: {enabled: true, labels: {a: b}}, alerts: {enabled: true, labels: {a: b}}, dashboard: {enabled: true}}
YAML

helm lint --strict --quiet "$chart" "$chart" --values "$work/everything.yaml"

render sequential-operator-system >"$work/default.yaml"
"$program" compare manifests/install.yaml "$work/default.yaml"

bin/cluster/kubectl kustomize manifests/namespaced >"$work/namespaced.yaml"
render sequential-operator-team-a --set 'namespaces={team-a},nameSuffix=-team-a,crd.install=false,policy.install=false,userRoles.install=false' \
  >"$work/rendered-namespaced.yaml"
"$program" compare "$work/namespaced.yaml" "$work/rendered-namespaced.yaml"

render elsewhere --values "$work/everything.yaml" >"$work/everything-rendered.yaml"
"$program" compare "$work/everything-rendered.yaml" "$work/everything-rendered.yaml" # each object once
for want in 'image: "sequential-job-operator@sha256:0000' 'value: 1843MiB' '"--namespace=team-b"' '"--workers=100"' 'kind: ServiceMonitor' \
  'kind: PrometheusRule' 'sequentialjob.json:' 'namespace: "team-b"' 'priorityClassName: "system-cluster-critical"'; do
  grep -qF -- "$want" "$work/everything-rendered.yaml" || { echo "With everything switched on, this is missing: $want" >&2; exit 1; }
done
# Prometheus has templates of its own, which Helm must leave alone.
# shellcheck disable=SC2016 # nothing is to be expanded
grep -qF '{{ $labels.reason }}' "$work/everything-rendered.yaml"

rejects replicas --set replicas=many
rejects replica --set replica=3
rejects /image/pullPolicy --set image.pullPolicy=always
rejects /image/digest --set image.digest=sha256:1234
rejects /namespaces/0 --set 'namespaces={Team_A}'
rejects /nameSuffix --set nameSuffix=team-a
rejects /podLabels --set 'podLabels.app\.kubernetes\.io/name=other'
rejects goMemoryLimit --set resources.limits.memory=1500M
rejects /crd/keep --set-string crd.keep=false
