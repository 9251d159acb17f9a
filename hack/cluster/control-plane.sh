# Sourced by cluster.sh: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and, for simulated nodes, kwok.
# kwokctl starts them as plain processes and picks free ports for all of them.
# shellcheck shell=bash disable=SC2154 # cluster.sh sets the variables

kwok_dir=$run/kwok
kwok_cluster=$kwok_dir/clusters/$CLUSTER_NAME

kwokctl() { KWOK_WORKDIR=$kwok_dir without_proxy "$bin/kwokctl" --config "$run/kwokctl.yaml" --name "$CLUSTER_NAME" "$@"; }
kubectl() { KUBECONFIG=$kubeconfig without_proxy "$bin/kubectl" "$@"; }

# The tests need mutating admission policies, which are on by default from 1.36 on.
mutating_policies() {
  case ${K8S_VERSION#v} in
    1.3[0-5].*)
      echo '      - {key: feature-gates, value: MutatingAdmissionPolicy=true}'
      echo '      - {key: runtime-config, value: admissionregistration.k8s.io/v1beta1=true}'
      ;;
  esac
}

# By a file and not by flags: kwokctl v0.8.0 mixes up --extra-args of more than one component.
control_plane_config() {
  local components='etcd, kube-apiserver, kube-controller-manager, kube-scheduler' listen=127.0.0.1 binaries
  binaries=$(control_plane_binaries)
  if [[ $NODES == real ]]; then
    listen=0.0.0.0 # the API server only: pods reach it at this host's address on the link to the node
  else
    components+=', kwok-controller'
  fi
  cat <<YAML
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  runtime: binary
  components: [$components]
  cacheDir: $kwok_dir/cache
  etcdBinary: $bin/etcd
  kubeApiserverBinary: $binaries/kube-apiserver
  kubeControllerManagerBinary: $binaries/kube-controller-manager
  kubeSchedulerBinary: $binaries/kube-scheduler
  kwokControllerBinary: $bin/kwok
  kubectlBinary: $bin/kubectl
  bindAddress: 127.0.0.1
  kubeApiserverCertSANs: [$service_vip, $host_ip]
  kubeAuditPolicy: $AUDIT_POLICY
  disableQPSLimits: true
  # A kwok that starts again waits until the node leases of the one before it are over.
  nodeLeaseDurationSeconds: 5
componentsPatches:
  - name: etcd
    extraArgs:
      # A test cluster need not survive a power cut, and need not wait for the disk either.
      - {key: unsafe-no-fsync, value: "true"}
  - name: kube-apiserver
    extraArgs:
      - {key: bind-address, value: $listen, override: true}
      - {key: advertise-address, value: $host_ip}
      - {key: service-cluster-ip-range, value: $service_cidr}
      - {key: audit-log-path, value: $audit_log, override: true}
      # One file, however long: who reads it follows it while it grows.
      - {key: audit-log-maxsize, value: "4096"}
      - {key: kubelet-preferred-address-types, value: InternalIP}
      # As on OpenShift: who sets an owner reference that blocks deletion needs a permission for it.
      - {key: enable-admission-plugins, value: OwnerReferencesPermissionEnforcement}
$(mutating_policies)
      - {key: kubelet-client-certificate, value: $kwok_cluster/pki/admin.crt}
      - {key: kubelet-client-key, value: $kwok_cluster/pki/admin.key}
  # There is one of each: no election that it could lose, and end, when the API server is away for a while.
  - name: kube-scheduler
    extraArgs:
      - {key: leader-elect, value: "false"}
  - name: kube-controller-manager
    extraArgs:
      - {key: leader-elect, value: "false"}
      - {key: concurrent-job-syncs, value: "50"}
      - {key: concurrent-gc-syncs, value: "50"}
      - {key: concurrent-namespace-syncs, value: "50"}
YAML
  if [[ -n $KWOK_STAGES ]]; then
    echo ---
    cat "$KWOK_STAGES"
  fi
}

# What kwokctl recorded may belong to somebody else by now; it would then take that process for a running component.
drop_stale_pids() {
  local file
  for file in "$kwok_cluster"/pids/*.pid; do
    if [[ -e $file ]] && ! pid_of "$file" >/dev/null; then rm -f "$file"; fi
  done
}

# A component may end again right after it was started, because what it needs is not there yet: kwokctl does not notice.
start_what_is_missing() {
  drop_stale_pids
  kwokctl start cluster && control_plane_running
}

control_plane_start() {
  drop_stale_pids
  if [[ -s $kubeconfig ]]; then
    retry 60 start_what_is_missing || component_logs
  else
    # Left over from an attempt that failed before there was anything to keep.
    stop_pids 10 "$kwok_cluster"/pids/*.pid
    rm -rf "$kwok_dir"
    control_plane_config >"$run/kwokctl.yaml"
    kwokctl create cluster --kubeconfig "$kubeconfig.new" --timeout 90s || component_logs
    mv "$kubeconfig.new" "$kubeconfig"
  fi
  retry 30 kubectl get --raw /readyz || component_logs
  # Pods are refused until this exists, and it is made a moment after the API server is ready.
  retry 30 kubectl get serviceaccount default
}

# kwokctl does not say which component it waited for in vain, nor why.
component_logs() {
  local log
  for log in "$kwok_cluster"/logs/{etcd,kube-apiserver,kube-controller-manager,kwok-controller}.log; do show_log "$log"; done
  return 1
}

control_plane_running() {
  local file
  [[ -s $kubeconfig ]] || return 1
  for file in "$kwok_cluster"/pids/*.pid; do
    pid_of "$file" >/dev/null || return 1
  done
  kubectl get --raw /readyz >/dev/null 2>&1
}

# component_pid_file COMPONENT: prints where its pid is, if it is a component of this cluster.
component_pid_file() {
  local file=$kwok_cluster/pids/${1:-}.pid
  [[ -n ${1:-} && -e $file ]] || fail "cluster \"$CLUSTER_NAME\" runs no component \"${1:-}\""
  echo "$file"
}

component_stop() {
  local file
  file=$(component_pid_file "$@")
  take_lock
  stop_pids 10 "$file"
}

component_kill() {
  local file
  file=$(component_pid_file "$@")
  take_lock
  stop_pids 0 "$file"
}

component_start() {
  [[ -s $kubeconfig ]] || fail "cluster \"$CLUSTER_NAME\" is not up; run \"cluster.sh up\" first"
  take_lock
  mkdir -p "$run/logs"
  control_plane_start >>"$run/logs/control-plane.log" 2>&1 ||
    fail "cluster \"$CLUSTER_NAME\": starting its control plane again failed; the log is $run/logs/control-plane.log"
}

component_pid() {
  local file
  file=$(component_pid_file "$@")
  pid_of "$file" || fail "cluster \"$CLUSTER_NAME\": its $1 is not running"
}

component_etcd() {
  tr '\0' '\n' <"/proc/$(pid_of "$(component_pid_file etcd)")/cmdline" | sed -n 's/^--advertise-client-urls=//p'
}

simulated_nodes() {
  kwokctl scale node --replicas "$SIMULATED_NODES"
  retry 60 kubectl wait --for=condition=Ready node --all --timeout=5s
}

# kwokctl itself would kill; etcd and the API server like to be asked.
control_plane_stop() {
  local name files=()
  for name in kwok-controller kube-scheduler kube-controller-manager kube-apiserver; do
    files+=("$kwok_cluster/pids/$name.pid")
  done
  stop_pids 5 "${files[@]}"
  stop_pids 5 "$kwok_cluster"/pids/*.pid # etcd last: the others need it to end in peace
}
