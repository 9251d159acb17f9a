#!/usr/bin/env bash
# A Kubernetes cluster on this machine, for trying and testing. See README.md beside this script.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: hack/cluster/cluster.sh COMMAND

  up                    start the cluster, or what is missing of it
  down                  stop it and remove everything it made
  load ARCHIVE.tar ...  give images (docker save, buildah push docker-archive:, OCI) to the real node
  pull IMAGE ...        fetch images from a registry for the real node
  registry              start a registry beside the real node, unless it runs, and print its name: REGISTRY/IMAGE can be pulled then.
                        buildah and podman push to it with CONTAINERS_REGISTRIES_CONF=bin/run/CLUSTER_NAME/registry/registries.conf
  registry-stop         stop it and remove what was pushed; "down" does that, too
  kubeconfig            print the path of its kubeconfig
  audit-log             print the path of the API server's audit log (writes to Jobs and SequentialJobs)
  nodes                 print "real" or "simulated": what the running cluster has, or "current"
  stop COMPONENT        end one process of the control plane: etcd, kube-apiserver, kube-controller-manager,
                        kube-scheduler or kwok-controller
  kill COMPONENT        the same at once, as if it had crashed
  start                 start what of the control plane was stopped or killed
  etcd                  print the address at which etcd listens
  pid COMPONENT         print the process ID of one process of the control plane, or of kwok-controller

Variables:
  CLUSTER_NAME     name of the cluster; several can run side by side (default: demo)
  NODES            real: a node that runs containers (needs root on Debian or Ubuntu);
                   simulated: nodes on which Job pods succeed at once
                   (default: what the cluster has, real for a new one)
  SIMULATED_NODES  how many of them (default: 1)
  KWOK_STAGES      file with the Stages of kwok that say how simulated pods go on, for a new cluster (default: kwok's own)
  AUDIT_POLICY     file with the API server's audit policy, for a new cluster (default: audit-policy.yaml beside this script)
  CLUSTER          "current": start nothing, use the current kubectl context
  K8S_VERSION      another Kubernetes than the one pinned in hack/cluster/kubernetes: 1.34.4, say (simulated nodes only)
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$root/bin/cluster
runs=$root/bin/run

CLUSTER_NAME=${CLUSTER_NAME:-demo}
NODES=${NODES:-}
SIMULATED_NODES=${SIMULATED_NODES:-1}
KWOK_STAGES=${KWOK_STAGES:-}
AUDIT_POLICY=${AUDIT_POLICY:-$here/audit-policy.yaml}
CLUSTER=${CLUSTER:-}
export K8S_VERSION=${K8S_VERSION:-}
PATH=$PATH:/usr/sbin:/sbin

run=$runs/$CLUSTER_NAME
kubeconfig=$run/kubeconfig
audit_log=$run/audit.log

# shellcheck source=../go.sh
source "$root/hack/go.sh"
# shellcheck source=lib.sh
source "$here/lib.sh"
# shellcheck source=control-plane.sh
source "$here/control-plane.sh"
# shellcheck source=node.sh
source "$here/node.sh"
# shellcheck source=node-config.sh
source "$here/node-config.sh"
# shellcheck source=registry.sh
source "$here/registry.sh"

check_variables() {
  [[ $CLUSTER_NAME =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
    fail "CLUSTER_NAME \"$CLUSTER_NAME\": use at most 31 small letters, digits and \"-\", a letter first"
  [[ -z $NODES || $NODES == real || $NODES == simulated ]] || fail "NODES \"$NODES\": it is either real or simulated"
  [[ $SIMULATED_NODES =~ ^[1-9][0-9]{0,3}$ ]] || fail "SIMULATED_NODES \"$SIMULATED_NODES\": use a number from 1 on"
  [[ -z $KWOK_STAGES || -r $KWOK_STAGES ]] || fail "KWOK_STAGES \"$KWOK_STAGES\": there is no such file to read"
  [[ -r $AUDIT_POLICY ]] || fail "AUDIT_POLICY \"$AUDIT_POLICY\": there is no such file to read"
  [[ -z $CLUSTER || $CLUSTER == current ]] || fail "CLUSTER \"$CLUSTER\": leave it empty or use \"current\""
}

# One at a time: two that start together would build the same files and pick the same free ports.
take_lock() {
  mkdir -p "$runs"
  exec 9>"$runs/.lock"
  if ! flock -n 9; then
    say "Waiting for another cluster.sh to finish ..."
    flock 9
  fi
}

running_nodes() { cat "$run/nodes" 2>/dev/null; }

# The user's own context, for CLUSTER=current.
current_kubectl() {
  if command -v kubectl >/dev/null; then
    command kubectl "$@"
  elif [[ -x $bin/kubectl ]]; then
    "$bin/kubectl" "$@"
  else
    fail "CLUSTER=current needs kubectl, and there is none in PATH"
  fi
}

use_current_context() {
  local context
  context=$(current_kubectl config current-context) || fail "CLUSTER=current, but kubectl has no current context"
  current_kubectl get --raw /version >/dev/null ||
    fail "CLUSTER=current, but the API server of kubectl's current context \"$context\" does not answer"
  say "Using kubectl's current context \"$context\"; no cluster is started or stopped."
}

fall_back_to_simulated() {
  local why=
  if [[ $NODES == simulated ]]; then return; fi
  if [[ $EUID -ne 0 ]]; then
    why="you are not root"
  elif [[ $(uname -s) != Linux ]] || ! command -v apt-get >/dev/null; then
    why="this is not Debian or Ubuntu (there is no apt-get)"
  fi
  if [[ -n $why ]]; then
    NODES=simulated
    say "NOTE: $why, so cluster \"$CLUSTER_NAME\" gets simulated nodes: Jobs succeed at once, no container runs."
  fi
}

# The Debian packages that the real node is made of, each with a file that shows it is there.
missing_packages() {
  local command
  local -A package=([containerd]=containerd [ctr]=containerd [runc]=runc [conntrack]=conntrack [iptables]=iptables
    [ip]=iproute2 [nsenter]=util-linux [mount]=mount [busybox]=busybox-static)
  for command in "${!package[@]}"; do
    command -v "$command" >/dev/null || echo "${package[$command]}"
  done | sort -u
  cni_plugins >/dev/null || echo containernetworking-plugins
}

install_packages() {
  local packages=("$@")
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install -y --no-install-recommends "${packages[@]}"
}

build_binaries() {
  local binaries=(etcd kwokctl kube-apiserver kube-controller-manager kube-scheduler kubectl)
  command -v go >/dev/null || fail "Go is needed to build the cluster, and \"go\" is not in PATH"
  if [[ $NODES == real ]]; then binaries+=(kubelet kube-proxy); else binaries+=(kwok); fi
  "$here/build.sh" "${binaries[@]}" 9>&- >&2 || fail "building the cluster's binaries failed, see above"
}

# What of the cluster is of another version, if one is wanted.
control_plane_binaries() {
  local other=$root/bin/cluster-v${K8S_VERSION#v}
  if [[ -n $K8S_VERSION && -x $other/kube-scheduler ]]; then echo "$other"; else echo "$bin"; fi
}

prepare() {
  local packages
  build_binaries
  if [[ $NODES == simulated ]]; then return; fi
  pause_binary || fail "building $bin/pause failed, see above"
  mapfile -t packages < <(missing_packages)
  if [[ ${#packages[@]} -gt 0 ]]; then
    step "packages: ${packages[*]}" "$run/logs/packages.log" install_packages "${packages[@]}"
  fi
}

# Says whether what runs is the version that was asked for, if one was.
is_wanted_version() {
  [[ -z $K8S_VERSION ]] || kubectl get --raw /version | grep -qF "\"gitVersion\": \"v${K8S_VERSION#v}\""
}

must_be_wanted_version() {
  is_wanted_version || fail "cluster \"$CLUSTER_NAME\" is not Kubernetes $K8S_VERSION: run \"cluster.sh down\" first"
}

is_up() {
  [[ -s $run/nodes ]] && control_plane_running || return 1
  case $NODES in
    real) node_running ;;
    simulated) [[ $(kubectl get nodes -o name | wc -l) -eq $SIMULATED_NODES ]] ;;
  esac
}

up() {
  local begin=$SECONDS was
  take_lock
  was=$(running_nodes || true)
  NODES=${NODES:-${was:-real}}
  fall_back_to_simulated
  if [[ -n $was && $was != "$NODES" ]]; then
    fail "cluster \"$CLUSTER_NAME\" has $was nodes, and $NODES ones are wanted: run \"cluster.sh down\" first"
  fi
  mkdir -p "$run/logs"
  node_network
  if is_up; then
    must_be_wanted_version
    say "Cluster \"$CLUSTER_NAME\" ($NODES nodes) is up. KUBECONFIG=$kubeconfig"
    return
  fi
  say "Starting cluster \"$CLUSTER_NAME\" ($NODES nodes)"
  prepare
  echo "$NODES" >"$run/nodes"
  step "control plane" "$run/logs/control-plane.log" control_plane_start
  if [[ $NODES == real ]]; then
    node_start
  else
    step "simulated nodes: $SIMULATED_NODES" "$run/logs/simulated-nodes.log" simulated_nodes
  fi
  must_be_wanted_version
  say "Cluster \"$CLUSTER_NAME\" is up after $((SECONDS - begin))s. KUBECONFIG=$kubeconfig"
}

down() {
  take_lock
  if [[ ! -d $run ]]; then
    say "Cluster \"$CLUSTER_NAME\" is not there; nothing to do."
    return
  fi
  if [[ $EUID -ne 0 && -d $node_dir ]]; then
    fail "cluster \"$CLUSTER_NAME\" has a real node: only root can stop it"
  fi
  if [[ -s $run/network ]]; then node_network; fi
  # The node first: the API server takes its time while kubelet is connected.
  if [[ -d $node_dir ]]; then node_stop; fi
  control_plane_stop
  rm -rf --one-file-system "$run"
  say "Cluster \"$CLUSTER_NAME\" is gone."
}

# need_real_node VERB: goes on only if there is a node that images can be given to.
need_real_node() {
  case $(running_nodes || true) in
    real) pid_of "$node_pids/containerd.pid" >/dev/null || fail "cluster \"$CLUSTER_NAME\": its node is not running; run \"cluster.sh up\"" ;;
    simulated)
      say "Simulated nodes run no images; nothing to $1."
      exit 0
      ;;
    *) fail "cluster \"$CLUSTER_NAME\" is not up; run \"cluster.sh up\" first" ;;
  esac
}

load() {
  local archive
  [[ $# -gt 0 ]] || fail "load: which archives?"
  if [[ $CLUSTER == current ]]; then
    say "CLUSTER=current: push the images where your cluster can pull them from (make docker-push); nothing is loaded."
    return
  fi
  need_real_node load
  for archive in "$@"; do
    ctr images import - <"$archive" || fail "loading $archive failed"
  done
}

# The node has no way out of this machine, but "ctr" here has.
pull() {
  local image
  [[ $# -gt 0 ]] || fail "pull: which images?"
  if [[ $CLUSTER == current ]]; then return; fi
  need_real_node pull
  for image in "$@"; do
    ctr images pull "$image" || fail "pulling $image failed; it must be the full name, such as docker.io/library/busybox:1"
  done
}

print_kubeconfig() {
  if [[ $CLUSTER == current ]]; then
    echo "${KUBECONFIG:-$HOME/.kube/config}"
  else
    echo "$kubeconfig"
  fi
}

print_nodes() {
  if [[ $CLUSTER == current ]]; then
    echo current
  else
    running_nodes || fail "cluster \"$CLUSTER_NAME\" is not up"
  fi
}

main() {
  local command=${1:-help}
  shift || true
  check_variables
  case $command in
    up | down) if [[ $CLUSTER == current ]]; then use_current_context; else "$command"; fi ;;
    load) load "$@" ;;
    pull) pull "$@" ;;
    registry | registry-stop)
      [[ $CLUSTER != current ]] || fail "CLUSTER=current: use a registry that your cluster can pull from"
      "${command/-/_}"
      ;;
    kubeconfig) print_kubeconfig ;;
    audit-log)
      [[ $CLUSTER != current ]] || fail "CLUSTER=current: its API server's audit log is not ours to read"
      echo "$audit_log"
      ;;
    nodes) print_nodes ;;
    stop | kill | start | etcd | pid)
      [[ $CLUSTER != current ]] || fail "CLUSTER=current: its control plane is not ours to $command"
      "component_$command" "$@"
      ;;
    help | -h | --help) usage ;;
    *)
      usage >&2
      fail "no such command: $command"
      ;;
  esac
}

main "$@"
