#!/usr/bin/env bash
# Applies the manifests to the cluster of the current kubectl context, and waits until the controller runs:
#   deploy.sh IMAGE   with that image
#   deploy.sh         with the image of the controller that is deployed there already, or with the one of "make docker-build"
# KUBECTL is the kubectl to use, TIMEOUT how long to wait for the controller (default: 120s).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kubectl=${KUBECTL:-kubectl}
crd=crd/sequentialjobs.batch.example.com
namespace=sequential-operator-system
deployment=deployment/sequential-operator-controller-manager
selector=app.kubernetes.io/name=sequential-job-operator

system() { "$kubectl" --namespace="$namespace" "$@"; }

deployed_image() {
  system get "$deployment" --ignore-not-found --output=jsonpath='{.spec.template.spec.containers[?(@.name=="manager")].image}'
}

# On a cluster with a single node, or one that images are loaded into, what "make docker-build" made may be there already.
default_image() {
  cat >&2 <<'TEXT'
IMG is not set, and no controller is deployed in this cluster yet: it gets the image sequential-job-operator:latest, which
"make docker-build" makes. The nodes need to have it. If they pull images from a registry, use that:

  make docker-build docker-push deploy IMG=my-registry/sequential-job-operator:v1

TEXT
  echo sequential-job-operator:latest
}

apply() { sed "s|image: sequential-job-operator:latest$|image: $image|" "$root/manifests/install.yaml" | "$kubectl" apply -f -; }

# shellcheck disable=SC2016 # the variables are those of the template
# What each pod that is not ready waits for, one line a cause.
pods_wait_for() {
  system get pods --selector="$selector" --output=go-template='{{range .items}}{{$pod := .metadata.name}}
{{- range .status.conditions}}{{if and (eq .type "PodScheduled") (eq .status "False")}}{{$pod}}: {{.reason}}: {{.message}}
{{end}}{{end}}
{{- range .status.containerStatuses}}{{with .state.waiting}}{{$pod}}: {{.reason}}: {{.message}}
{{end}}{{if not .ready}}{{with .lastState.terminated}}{{$pod}}: its container ended before with exit code {{.exitCode}} ({{.reason}})
{{end}}{{if .state.running}}{{$pod}}: it runs, and its probes do not say that it is ready
{{end}}{{end}}{{end}}{{end}}'
}

# The API server does not let the ReplicaSet create pods: a quota, a policy, a webhook.
pods_are_refused() {
  system get "$deployment" --output=go-template='{{range .status.conditions}}{{if eq .type "ReplicaFailure"}}{{.reason}}: {{.message}}
{{end}}{{end}}'
}

# shellcheck disable=SC2016
# The last words of the first pod that ended: why it did is in there, not in what Kubernetes says.
last_words() {
  local pod
  system get pods --selector="$selector" --output=go-template='{{range .items}}{{$pod := .metadata.name}}
{{- range .status.containerStatuses}}{{if and (not .ready) .lastState.terminated}}{{$pod}}
{{end}}{{end}}{{end}}' | head -n 1 | while read -r pod; do
    echo "The log of $pod ends with:"
    system logs --previous --tail=5 "$pod" || system logs --tail=5 "$pod"
  done
}

bounded() { head -n 10 | cut -c 1-400 | sed 's/^/  /'; }

explain_failure() {
  local available causes
  available=$(system get "$deployment" --output=jsonpath='{.status.availableReplicas}')
  printf '\nThe controller with the image %s does not run. What it waits for:\n\n' "$image"
  causes=$({ pods_are_refused; pods_wait_for; } | bounded)
  echo "${causes:-  Nothing that Kubernetes tells.}"
  last_words | bounded
  printf '\nReplicas that work now: %s.\n' "${available:-0}"
  if [[ -n $before && $before != "$image" ]]; then
    printf 'Back to the image before:\n\n  make deploy IMG=%s\n' "$before"
  fi
  cat <<TEXT

Remove the cause, and deploy again:

  make deploy IMG=$image
  kubectl -n $namespace describe pods -l $selector
TEXT
}

before=$(deployed_image)
if [[ -n ${1:-} ]]; then
  image=$1
elif [[ -n $before ]]; then
  image=$before
  echo "IMG is not set: the controller keeps its image, $image"
else
  image=$(default_image)
fi
apply
# Deleted while SequentialJobs were unfinished, the CRD waits for a controller to let them go. Now there is one.
if [[ -n $("$kubectl" get "$crd" --ignore-not-found --output=jsonpath='{.metadata.deletionTimestamp}') ]]; then
  echo "An earlier CRD is still being deleted, with its SequentialJobs; when it is gone, it is installed again."
  "$kubectl" wait --for=delete "$crd" --timeout=120s
  apply
fi
# The same name may stand for a new image: where the caller knows what is in it, the pods are replaced when that changes.
if [[ -n ${IMAGE_SUM:-} ]]; then
  system patch "$deployment" --patch \
    "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"batch.example.com/image-sum\":\"$IMAGE_SUM\"}}}}}"
fi
KUBECTL=$kubectl "$root/hack/wait-for-crd.sh"
if ! system rollout status --timeout="${TIMEOUT:-120s}" "$deployment"; then
  explain_failure >&2
  exit 1
fi
