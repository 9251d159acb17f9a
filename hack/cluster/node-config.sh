# Sourced by cluster.sh: the configuration files of what runs on the real node.
# shellcheck shell=bash disable=SC2154 # cluster.sh sets the variables

# overlayfs is fast, but cannot lie on another overlayfs, such as a container's own file system.
snapshotter() {
  local try=$node_dir/overlay-try
  mkdir -p "$try"/{lower,upper,work,merged}
  if in_node mount -t overlay overlay \
    -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" "$try/merged" 2>/dev/null; then
    in_node umount "$try/merged"
    echo overlayfs
  else
    echo native
  fi
}

cni_plugins() {
  local dir
  for dir in /usr/lib/cni /opt/cni/bin; do
    if [[ -x $dir/ptp ]]; then
      echo "$dir"
      return
    fi
  done
  return 1
}

containerd_config() {
  cat <<TOML
version = 2
root = "$node_dir/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$node_dir/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  # Without this a container fails to start where this machine's own processes may not lower their OOM score.
  restrict_oom_score_adj = true
  disable_apparmor = true # its profile would be loaded into the machine's kernel
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$(snapshotter)"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$registry_hosts" # looked into at every pull
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_plugins)"
    conf_dir = "$node_dir/cni"
TOML
}

# Point-to-point links and not a bridge: all traffic is then routed and thus passes kube-proxy's rules, without the
# kernel module br_netfilter.
cni_config() {
  cat <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": "$pod_cidr"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

kubelet_config() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0 # a test cluster does not outrank the machine's own processes
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup_name
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: $kwok_cluster/pki/ca.crt}
authorization: {mode: AlwaysAllow}
podLogsDir: $node_dir/pod-logs
volumePluginDir: $node_dir/volume-plugins
staticPodPath: ""
resolvConf: $node_dir/resolv.conf
makeIPTablesUtilChains: false
maxPods: 200
containerLogMonitorInterval: 3s # a log of more than 10Mi is rotated soon, the shortest that is valid
# The images cannot be pulled again, so none is ever thrown away, and a full disk is the user's to notice.
imageGCHighThresholdPercent: 100
# An image that was loaded stays usable when the same one is pulled from a registry by another name.
imagePullCredentialsVerificationPolicy: NeverVerify
evictionHard:
  memory.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
# Tests wait for what kubelet reports.
kubeAPIQPS: 200
kubeAPIBurst: 400
eventRecordQPS: 0
YAML
}

kube_proxy_config() {
  cat <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $node_dir/kubeconfig}
hostnameOverride: $node_name
mode: iptables
oomScoreAdj: 0
clusterCIDR: $pod_cidr
# These are settings of the whole machine, which are none of the node's business.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

node_configs() {
  mkdir -p "$node_dir/cni" "$node_dir/volume-plugins"
  containerd_config >"$node_dir/containerd.toml"
  cni_config >"$node_dir/cni/10-pods.conflist"
  kubelet_config >"$node_dir/kubelet.yaml"
  kube_proxy_config >"$node_dir/kube-proxy.yaml"
  # There is no DNS: a look-up fails at once instead of asking the machine's own servers in vain.
  echo "options timeout:1 attempts:1" >"$node_dir/resolv.conf"
  sed "s#https://127.0.0.1:#https://$host_ip:#" "$kubeconfig" >"$node_dir/kubeconfig"
}
