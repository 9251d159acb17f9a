#!/usr/bin/env bash
# Applies the manifests to the cluster of the current kubectl context: deploy.sh IMAGE
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${1:?"usage: deploy.sh IMAGE"}
kubectl=${KUBECTL:-kubectl}
crd=crd/sequentialjobs.batch.example.com

apply() { sed "s|image: sequential-job-operator:latest$|image: $image|" "$root/manifests/install.yaml" | "$kubectl" apply -f -; }

apply
# Deleted while SequentialJobs were unfinished, the CRD waits for a controller to let them go. Now there is one.
if [[ -n $("$kubectl" get "$crd" --ignore-not-found --output=jsonpath='{.metadata.deletionTimestamp}') ]]; then
  echo "An earlier CRD is still being deleted, with its SequentialJobs; when it is gone, it is installed anew."
  "$kubectl" wait --for=delete "$crd" --timeout=120s
  apply
fi
# The same name may stand for a new image: where the caller knows what is in it, the pods are replaced when that changes.
if [[ -n ${IMAGE_SUM:-} ]]; then
  "$kubectl" -n sequential-operator-system patch deployment sequential-operator-controller-manager --patch \
    "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"batch.example.com/image-sum\":\"$IMAGE_SUM\"}}}}}"
fi
KUBECTL=$kubectl "$root/hack/wait-for-crd.sh"
"$kubectl" -n sequential-operator-system rollout status --timeout=120s \
  deployment/sequential-operator-controller-manager
