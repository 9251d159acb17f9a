#!/usr/bin/env bash
# Removes what was installed from the cluster of the current kubectl context:
#   undeploy.sh crd   only the CRD, and with it every SequentialJob
#   undeploy.sh       everything; the CRD first, while the controller still runs to stop what is unfinished
# It refuses while there are SequentialJobs that have not ended. FORCE=1 stops them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kubectl=${KUBECTL:-kubectl}
what=${1:-}
crd=crd/sequentialjobs.batch.example.com
target=$([[ $what == crd ]] && echo uninstall || echo undeploy)

has_crd() { [[ -n $("$kubectl" get "$crd" --ignore-not-found --output=name) ]]; }

# Prints NAMESPACE NAME of each SequentialJob, or of each that has not ended.
all() { "$kubectl" get sequentialjobs --all-namespaces --output=go-template='{{range .items}}{{.metadata.namespace}} {{.metadata.name}}
{{end}}'; }
unfinished() { "$kubectl" get sequentialjobs --all-namespaces --output=go-template='{{range .items}}{{if not (and .status .status.completionTime)}}{{.metadata.namespace}} {{.metadata.name}}
{{end}}{{end}}'; }

refuse_if_unfinished() {
  local left
  left=$(unfinished)
  if [[ -n $left && -z ${FORCE:-} ]]; then
    {
      printf 'Refused: these SequentialJobs have not ended, and would be stopped and deleted (namespace, name):\n\n'
      head -n 20 <<<"$left" | sed 's/^/  /'
      [[ $(wc -l <<<"$left") -le 20 ]] || echo "  ... $(wc -l <<<"$left") in all"
      printf '\nWait for their end, delete them, or stop and delete all of them:   make %s FORCE=1\n' "$target"
    } >&2
    exit 1
  fi
}

# With a controller, a SequentialJob that is deleted goes once its pods have ended. Without, nobody lets it go; its Jobs are
# left to the garbage collector then.
delete_sequentialjobs() {
  "$kubectl" delete sequentialjobs --all --all-namespaces --timeout="${TIMEOUT:-60s}" && return
  if [[ -z ${FORCE:-} ]]; then
    cat >&2 <<HINT

Some SequentialJobs are still there: they go once their Jobs and pods have ended, and only a running controller can see to
that. See which:   kubectl get sequentialjobs --all-namespaces
If a controller runs, wait and try again. If none does, start it (make deploy, or make run), or do without:
make $target FORCE=1 lets them go, and Kubernetes then stops their Jobs.
HINT
    exit 1
  fi
  echo "No controller let these go. They are released now; Kubernetes stops their Jobs."
  all | while read -r namespace name; do
    "$kubectl" patch sequentialjob "$name" --namespace="$namespace" --type=merge --patch='{"metadata":{"finalizers":null}}' ||
      "$kubectl" get sequentialjob "$name" --namespace="$namespace" --ignore-not-found
  done
}

if has_crd; then
  refuse_if_unfinished
  delete_sequentialjobs
  "$kubectl" delete "$crd" --ignore-not-found --timeout=120s
fi
[[ $what != crd ]] || exit 0
"$kubectl" delete --ignore-not-found -f "$root/manifests/install.yaml"
