#!/usr/bin/env bash
# Gives the project's cluster, which has no storage provisioner, volumes that any claim without a storage class is bound
# to. They are folders below bin/run/<cluster>/volumes. Those whose claim is gone are emptied and offered again.
#
# KUBECONFIG and KUBECTL say which cluster; where CLUSTER=current nothing is done: it has storage of its own.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/bin/run/${CLUSTER_NAME:-demo}/volumes
kubectl=${KUBECTL:-kubectl}
count=${VOLUMES:-8}

# Every user may write, since the images run as one without rights and kubelet does not change a hostPath's owner.
volume() {
  local name=$1
  rm -rf "${folder:?}/$name"
  mkdir -p "$folder/$name"
  chmod 0777 "$folder/$name"
  cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata:
  name: $name
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: "$folder/$name", type: Directory}
YAML
}

if [[ ${CLUSTER:-} == current ]]; then
  exit 0
fi
# Released volumes keep the claim that they had, and no other can have them: they are made again.
phases=$("$kubectl" get persistentvolumes -o jsonpath='{range .items[*]}{.metadata.name}={.status.phase}{"\n"}{end}')
new=()
gone=()
for ((i = 0; i < count; i++)); do
  case $(grep "^volume-$i=" <<<"$phases") in
    *=Available | *=Bound | *=Pending) ;;
    ?*)
      gone+=("volume-$i")
      new+=("volume-$i")
      ;;
    *) new+=("volume-$i") ;;
  esac
done
if [[ ${#gone[@]} -gt 0 ]]; then
  "$kubectl" delete --timeout=30s persistentvolumes "${gone[@]}" >/dev/null
fi
if [[ ${#new[@]} -gt 0 ]]; then
  for name in "${new[@]}"; do volume "$name"; done | "$kubectl" create -f - >/dev/null
fi
