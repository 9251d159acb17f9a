#!/usr/bin/env bash
# Removes what was installed from the cluster of the current kubectl context:
#   undeploy.sh crd   only the CRD, and with it every SequentialJob
#   undeploy.sh       everything; the CRD first, while the controller still runs to stop what is unfinished
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kubectl=${KUBECTL:-kubectl}

if ! "$kubectl" delete --ignore-not-found --timeout=120s -f "$root/manifests/crd.yaml"; then
  cat >&2 <<'HINT'

Some SequentialJobs are still being cleaned up: they stay until their Jobs and pods are gone, and only a running
controller can see to that. See which:   kubectl get sequentialjobs --all-namespaces
If the controller runs, wait and try again. If it does not, start it (make deploy, or make run) and try again.
HINT
  exit 1
fi
[[ ${1:-} == crd ]] && exit 0
"$kubectl" kustomize "$root/manifests" | "$kubectl" delete --ignore-not-found -f -
