#!/usr/bin/env bash
# Applies the manifests to the cluster of the current kubectl context: deploy.sh IMAGE
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image=${1:?"usage: deploy.sh IMAGE"}
kubectl=${KUBECTL:-kubectl}

# `kustomize edit set image` would change the tracked kustomization; the image is named in one place only.
"$kubectl" kustomize "$root/manifests" |
  sed "s|image: sequential-job-operator:latest$|image: $image|" |
  "$kubectl" apply -f -
"$kubectl" wait --for=condition=Established --timeout=60s crd/sequentialjobs.batch.example.com
"$kubectl" -n sequential-operator-system rollout status --timeout=120s \
  deployment/sequential-operator-controller-manager
