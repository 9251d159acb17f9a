#!/usr/bin/env bash
# Shows a SequentialJob at work, with real containers on real data, and checks every bit of what it shows. The cluster
# must be up, with the images loaded and the controller deployed: "make demo" does all of that first.
#
#   KUBECONFIG, KUBECTL  which cluster, and the kubectl to use (default: kubectl)
#   PLUGIN_DIR           where the plugin is: "make install-plugin" puts it there (default: bin/plugin)
#   NAMESPACE            where (default: default; with CLUSTER=current: sequentialjob-demo, made if it is not there).
#                        The objects of a former demo in it are removed first, by their names.
#   CLUSTER              "current": a cluster that is not the project's own; claims get volumes of its storage class
#
# Exits 0 only if all is right.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kubectl=${KUBECTL:-kubectl}
plugin_dir=${PLUGIN_DIR:-$PWD/bin/plugin}
export PATH=$plugin_dir:$PATH
if [[ ${CLUSTER:-} == current ]]; then
  namespace=${NAMESPACE:-sequentialjob-demo}
else
  namespace=${NAMESPACE:-default}
fi
in_namespace=
if [[ $namespace != default || ${CLUSTER:-} == current ]]; then
  in_namespace=" -n $namespace"
fi
pipeline=data-processing-pipeline
examples=artifacts/examples
# What the sample orders come to; a test of the data tools says the same.
want_rows="16 orders, total 3746.70"
want_failure='Job 1 (transform) failed: BackoffLimitExceeded: container "transform" exited with code 2: /data/raw/orders.csv does not exist'
checks=0
watch_code=0
failures=0
watcher=

# Colours are for terminals, and for those who want them.
bold='' green='' red='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\033[1m' green=$'\033[32m' red=$'\033[31m' plain=$'\033[0m'
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

k() { "$kubectl" -n "$namespace" "$@"; }

# say WORD...: prints a command as one would type it.
say() {
  local line="\$" arg
  for arg in "$@"; do
    if [[ $arg == *[^a-zA-Z0-9_./:=,@%+-]* ]]; then
      arg="'$arg'"
    fi
    line+=" $arg"
  done
  printf '\n%s\n' "$line"
}

# show ARGUMENT...: prints the kubectl command as one would type it, and runs it.
show() {
  # shellcheck disable=SC2086 # two words, or none
  say kubectl $in_namespace "$@"
  k "$@"
}

# show_sj ARGUMENT...: the same for the plugin, to which kubectl passes no flags that stand before its name.
show_sj() {
  # shellcheck disable=SC2086
  say kubectl sj "$@" $in_namespace
  "$kubectl" sj "$@" --namespace "$namespace"
}

# check TEXT GOT WANT: one line for each thing that must be so.
check() {
  checks=$((checks + 1))
  if [[ $2 == "$3" ]]; then
    printf '  %sok%s      %s\n' "$green" "$plain" "$1"
  else
    failures=$((failures + 1))
    printf '  %sNOT OK%s  %s\n            got:  %s\n            want: %s\n' "$red" "$plain" "$1" "$2" "$3"
  fi
}

field() { k get "$1" "$2" -o jsonpath="$3" 2>&1 || true; }

# give_up TEXT OBJECT: for what nothing else can be shown without.
give_up() {
  printf '\n%sNOT OK%s  %s. What the cluster says about it:\n' "$red" "$plain" "$1" >&2
  k describe "$2" >&2 || true
  k get pods >&2 || true
  k get events --sort-by=.metadata.creationTimestamp | tail -n 20 >&2 || true
  "$kubectl" -n sequential-operator-system logs -l app.kubernetes.io/name=sequential-job-operator --prefix --tail=20 >&2 || true
  exit 1
}

stop_watcher() {
  if [[ -n $watcher ]]; then
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    watcher=
  fi
}
trap stop_watcher EXIT

# watch_to_the_end NAME: shows each change of the SequentialJobs, as it happens, until the one of that name has ended.
watch_to_the_end() {
  local printer status=0 changes
  printf '\n$ kubectl%s get sequentialjobs -w\n' "$in_namespace"
  exec {changes}< <(exec "$kubectl" -n "$namespace" get sequentialjobs -w 2>&1)
  watcher=$!
  sed -u "/^$1 .*\(Completed\|Failed\) /q" <&"$changes" &
  printer=$!
  k wait "sequentialjob/$1" --for=jsonpath='{.status.completionTime}' --timeout=120s >/dev/null 2>&1 || status=$?
  # The watch hears of the end at the same time as the wait: its last line may need a moment more.
  timeout 5 tail --pid="$printer" -f /dev/null || kill "$printer" 2>/dev/null || true
  stop_watcher
  exec {changes}<&-
  if [[ $status -ne 0 ]]; then
    give_up "$1 did not come to its end within 120 s" "sequentialjob/$1"
  fi
  show wait "sequentialjob/$1" --for=jsonpath='{.status.completionTime}' --timeout=120s
}

# job NAME: runs the Job hack/demo/NAME.yaml to its end.
job() {
  show apply -f "hack/demo/$1.yaml"
  k wait "job/demo-$1" --for=condition=Complete --timeout=60s >/dev/null || give_up "the Job demo-$1 did not complete" "job/demo-$1"
  show logs "job/demo-$1"
}

need_real_containers() {
  if [[ $(hack/cluster/cluster.sh nodes) == simulated ]]; then
    echo "demo.sh: the nodes of this cluster are simulated, and nothing to show would really happen there." >&2
    echo "Run it as root on Debian or Ubuntu, or with CLUSTER=current on a cluster of yours that has the images." >&2
    exit 1
  fi
}

clean_up() {
  k delete --ignore-not-found --cascade=foreground --timeout=60s "sequentialjob/$pipeline" sequentialjob/failing-step >/dev/null
  k delete --ignore-not-found --cascade=foreground --timeout=60s job/demo-seed job/demo-query >/dev/null
  k delete --ignore-not-found --timeout=60s -f hack/demo/needs.yaml >/dev/null
}

prepare() {
  need_real_containers
  if ! "$kubectl" get namespace "$namespace" >/dev/null 2>&1; then
    "$kubectl" create namespace "$namespace"
  fi
  clean_up
  hack/demo/volumes.sh
  heading "Before the pipeline: a volume, the connection string of a database, and the orders of a shop as a CSV file"
  show apply -f hack/demo/needs.yaml
  job seed
}

run_pipeline() {
  heading "A pipeline of three steps: each starts when the one before it has completed"
  show apply -f "$examples/$pipeline.yaml"
  watch_to_the_end "$pipeline"
  heading "What the SequentialJob says about itself"
  show describe sequentialjob "$pipeline"
  heading "The same as a tree, and what each step did, with the kubectl plugin"
  show_sj status "$pipeline"
  show_sj logs "$pipeline" || true
  heading "What is in the database now"
  job query
}

check_pipeline() {
  local i before
  heading "Is all of it right?"
  check "the phase is Completed" "$(field sequentialjob $pipeline '{.status.phase}')" Completed
  check "kubectl get shows 3/3" \
    "$(k get sequentialjob $pipeline --no-headers | awk '{print $2, $3}')" "Completed 3/3"
  check "the condition Available is True" \
    "$(field sequentialjob $pipeline '{.status.conditions[?(@.type=="Available")].status}')" True
  check "three Jobs, and no more, belong to it" \
    "$(k get jobs -l batch.example.com/sequentialjob-name=$pipeline -o name | sort | tr '\n' ' ')" \
    "job.batch/$pipeline-0 job.batch/$pipeline-1 job.batch/$pipeline-2 "
  for i in 1 2; do
    before=$(field job "$pipeline-$((i - 1))" '{.status.completionTime}')
    check "Job $i was created when Job $((i - 1)) had completed ($before)" \
      "$(earlier "$before" "$(field job "$pipeline-$i" '{.metadata.creationTimestamp}')")" yes
  done
  check "the step transform dropped the 7 bad rows" \
    "$(k logs "job/$pipeline-1" | grep -c '^dropped row ' || true)" 7
  check "the database holds what the sample orders come to" "$(k logs job/demo-query | tail -n 1)" "$want_rows"
}

# earlier A B: "yes" if the time A, as the API writes times, is there and not after B.
earlier() {
  if [[ $1 == 20* && $2 == 20* && ! $1 > $2 ]]; then
    echo yes
  else
    echo "$1, then $2"
  fi
}

run_failure() {
  heading "A second sequence, watched with the plugin: its step transform does not find its input"
  show apply -f "$examples/failing-step.yaml"
  watch_code=0
  show_sj status failing-step -w || watch_code=$?
  heading "Why it failed: step, exit code and the container's own words, with no log to look for"
  show get sequentialjob failing-step -o wide
  show get sequentialjob failing-step -o 'jsonpath={.status.conditions[?(@.type=="Failed")].message}{"\n"}'
  show describe sequentialjob failing-step
  show_sj logs failing-step --failed
}

check_failure() {
  local message
  heading "Is all of it right?"
  message=$(field sequentialjob failing-step '{.status.conditions[?(@.type=="Failed")].message}')
  message=${message% (node *)}
  check "the exit code of the watch says that it failed" "$watch_code" 1
  check "the phase is Failed" "$(field sequentialjob failing-step '{.status.phase}')" Failed
  check "the condition Failed is True" \
    "$(field sequentialjob failing-step '{.status.conditions[?(@.type=="Failed")].status}')" True
  check "its message names step, reason, exit code and the container's words" "$message" "$want_failure"
  check "the first step completed, the second failed" \
    "$(field sequentialjob failing-step '{.status.progress.completedIndices} {.status.progress.failedIndex}')" "[0] 1"
  check "an event says so, too" \
    "$(k describe sequentialjob failing-step | sed '1,/^Events:/d' | grep -c 'Warning *JobFailed' || true)" 1
  check "the third step was never started" "$(k get job failing-step-2 --ignore-not-found -o name)" ""
}

# The mistake was an emptyDir, which lives as long as its pod; the claim has what the pipeline before left there.
fix='{"spec":{"template":{"spec":{"volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"pipeline-data"}}]}}}}'

run_resume() {
  heading "Fixed, and given one retry, it goes on with the step that failed"
  show patch sequentialjob failing-step --type=merge --patch "$fix"
  show_sj retry failing-step -f || give_up "failing-step did not complete" sequentialjob/failing-step
  show_sj status failing-step
  show get sequentialjob failing-step
  show get jobs -l batch.example.com/sequentialjob-name=failing-step
}

check_resume() {
  heading "Is all of it right?"
  check "the phase is Completed" "$(field sequentialjob failing-step '{.status.phase}')" Completed
  check "the failed step ran again in a Job of its own, the completed one did not" \
    "$(k get jobs -l batch.example.com/sequentialjob-name=failing-step -o name | sort | tr '\n' ' ')" \
    "job.batch/failing-step-0 job.batch/failing-step-1 job.batch/failing-step-1-r1 job.batch/failing-step-2 "
  check "an event tells of the retry" \
    "$(k describe sequentialjob failing-step | sed '1,/^Events:/d' | grep -c 'Normal *Retrying' || true)" 1
}

main() {
  prepare
  run_pipeline
  check_pipeline
  run_failure
  check_failure
  run_resume
  check_resume
  if [[ $failures -gt 0 ]]; then
    printf '\n%s of %s checks are NOT OK.\n' "$failures" "$checks"
    exit 1
  fi
  printf '\nAll %s checks are ok, after %s s. Both SequentialJobs are still there to look at.\n' "$checks" "$SECONDS"
  if [[ ${CLUSTER:-} != current ]]; then
    printf '  export KUBECONFIG=%s PATH=%s:%s\n  %s sj status\nTo remove the whole cluster: make cluster-down\n' \
      "${KUBECONFIG:-}" "$plugin_dir" "\$PATH" "$kubectl"
  fi
}

main
