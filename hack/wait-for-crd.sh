#!/usr/bin/env bash
# Waits until the API server serves SequentialJobs: wait-for-crd.sh. KUBECTL is the kubectl to use.
# "kubectl wait" alone fails, instead of waiting, on a CRD that is so new that it has no conditions yet.
set -euo pipefail
kubectl=${KUBECTL:-kubectl}
crd=crd/sequentialjobs.batch.example.com
deadline=$((SECONDS + 60))
until message=$("$kubectl" wait --for=condition=Established --timeout=10s "$crd" 2>&1); do
  if ((SECONDS >= deadline)); then
    echo "The CRD was not established within 60 s: $message" >&2
    exit 1
  fi
  sleep 0.2
done
echo "$message"
