# Sourced by cluster.sh: the real node. It is to this machine what a container is: its own PID, mount and network
# namespaces, so that no port, firewall rule, mount or kernel parameter of the machine is touched.
# shellcheck shell=bash disable=SC2154 # cluster.sh sets the variables

node_dir=$run/node
node_pids=$run/pids
node_name=$CLUSTER_NAME-node
pause_image=localhost/pause:1

# The networks of cluster N: 10.213.N.0/24 links this machine (.1) and the node (.2), pods live in 10.214.N.0/24.
node_network() {
  local n
  if [[ ! -s $run/network ]]; then
    for n in {0..255}; do
      if ! grep -qsx "$n" "$runs"/*/network && ! ip -4 route 2>/dev/null | grep -qE "^10\.21[34]\.$n\."; then
        echo "$n" >"$run/network"
        break
      fi
    done
  fi
  n=$(cat "$run/network") || fail "found no free network 10.213.N.0/24 for the node"
  host_link=sjnode$n host_ip=10.213.$n.1 node_ip=10.213.$n.2 pod_cidr=10.214.$n.0/24
  service_cidr=10.0.0.0/24 service_vip=10.0.0.1
}

in_node() { without_proxy nsenter --target "$(cat "$node_pids/node.pid")" --mount --pid --net -- "$@"; }

ctr() { # with this machine's network
  without_proxy nsenter --target "$(cat "$node_pids/node.pid")" --mount --pid -- \
    ctr --address /run/containerd/containerd.sock --namespace k8s.io "$@"
}

# node_process NAME COMMAND...: starts it inside the node unless it runs. The pid is that of nsenter, which stays.
node_process() {
  local name=$1
  shift
  if pid_of "$node_pids/$name.pid" >/dev/null; then return; fi
  env -i PATH="$PATH" HOME="$node_dir" setsid nsenter --target "$(cat "$node_pids/node.pid")" \
    --mount --pid --net -- "$@" </dev/null >>"$run/logs/$name.log" 2>&1 9>&- &
  echo $! >"$node_pids/$name.pid"
}

node_namespaces() {
  if pid_of "$node_pids/node.pid" >/dev/null; then return; fi
  node_stop # what is left from before a crash or a reboot
  mkdir -p "$node_dir" "$node_pids" "$run/logs"
  printf '%s\n' /var/lib/kubelet /var/lib/cni /var/log/containers >"$node_dir/private-dirs"
  make_mount_points
  make_cgroups
  setsid unshare --mount --pid --net --fork --kill-child --propagation slave \
    "$here/node-init.sh" "$run" "$node_pids/node.pid" "$bin/pause" </dev/null >>"$run/logs/node.log" 2>&1 9>&- &
  echo $! >"$node_pids/unshare.pid"
  retry 10 pid_of "$node_pids/node.pid"
  ip link add "$host_link" type veth peer name eth0 netns "$(cat "$node_pids/node.pid")"
  ip addr add "$host_ip/24" dev "$host_link"
  ip link set "$host_link" up
  in_node ip addr add "$node_ip/24" dev eth0
  in_node ip link set eth0 up
  # kube-proxy redirects service addresses, but only of packets that have a route to begin with. There is no default
  # route: the node has no way out of this machine, and says so at once instead of timing out.
  in_node ip route add "$service_cidr" via "$host_ip"
  ip route add "$pod_cidr" via "$node_ip"
}

# The private directories need something to be mounted on; "down" removes what was not there before.
make_mount_points() {
  local dir
  while read -r dir; do
    if [[ ! -d $dir ]]; then
      mkdir -p "$dir"
      echo "$dir" >>"$run/made-dirs"
    fi
  done <"$node_dir/private-dirs"
}

cgroup_name=sequentialjob-$CLUSTER_NAME

# One folder in each hierarchy: cgroup v2 has one, v1 many, and a hybrid has both (runc then uses both).
cgroup_roots() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts; }

make_cgroups() {
  local root controller
  for root in $(cgroup_roots); do
    if [[ -e $root/cgroup.subtree_control ]]; then # v2 hands controllers down only when told to
      for controller in $(<"$root/cgroup.controllers"); do
        echo "+$controller" >"$root/cgroup.subtree_control" || true
      done
    fi
    mkdir -p "$root/$cgroup_name"
  done
}

remove_cgroups() {
  local root dir
  for root in $(cgroup_roots); do
    [[ -d $root/$cgroup_name ]] || continue
    find "$root/$cgroup_name" -depth -type d | while read -r dir; do
      retry 5 rmdir "$dir" || true # busy for a moment after its last process has ended
    done
  done
}

pause_binary() {
  if [[ ! -x $bin/pause || $here/pause/main.go -nt $bin/pause ]]; then
    (cd "$here/pause" && CGO_ENABLED=0 GOWORK=off go build -trimpath -ldflags "-s -w" -o "$bin/pause" .)
  fi
}

# The sandbox image, in the format of "docker save", because there is no registry to pull one from.
load_pause_image() {
  local dir=$node_dir/pause-image
  rm -rf "$dir"
  mkdir -p "$dir"
  tar -C "$bin" --owner=0 --group=0 --numeric-owner -cf "$dir/layer.tar" pause
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(go env GOARCH)" "$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)" >"$dir/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$pause_image" >"$dir/manifest.json"
  tar -C "$dir" -c manifest.json config.json layer.tar | ctr images import -
}

containerd_start() {
  node_process containerd containerd --config "$node_dir/containerd.toml"
  retry 20 ctr version
  load_pause_image
}

kubelet_start() {
  node_process kubelet "$bin/kubelet" --config "$node_dir/kubelet.yaml" --kubeconfig "$node_dir/kubeconfig" \
    --root-dir "$node_dir/kubelet" --cert-dir "$node_dir/pki" --hostname-override "$node_name" --node-ip "$node_ip"
  node_process kube-proxy "$bin/kube-proxy" --config "$node_dir/kube-proxy.yaml"
  retry 30 kubectl get node "$node_name"
  kubectl wait --for=condition=Ready "node/$node_name" --timeout=60s
  retry 30 service_reachable
}

# The first Ready comes before kube-proxy's first rules; a pod started in between would not find the API server.
# An attempt made before the rules goes astray for good, hence the short timeout and the retry.
service_reachable() {
  in_node timeout 0.5 bash -c "exec 3<>/dev/tcp/$service_vip/443"
}

node_running() {
  local name
  for name in node containerd kubelet kube-proxy; do
    pid_of "$node_pids/$name.pid" >/dev/null || return 1
  done
  [[ $(kubectl get node "$node_name" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) == True ]]
}

node_start() {
  step "node: namespaces and network" "$run/logs/node.log" node_namespaces
  node_configs
  step "node: containerd" "$run/logs/containerd.log" containerd_start
  step "node: kubelet and kube-proxy" "$run/logs/kubelet.log" kubelet_start
}

# Ending the node's first process ends all the others, which take their mounts and interfaces with them.
node_stop() {
  stop_pids 3 "$node_pids/node.pid"
  stop_pids 10 "$node_pids"/*.pid # these only wait for what has just ended
  if [[ -n ${host_link:-} ]] && ip link show "$host_link" >/dev/null 2>&1; then
    ip link delete "$host_link" || true # it goes by itself, but not at once
  fi
  remove_cgroups
  remove_mount_points
}

remove_mount_points() {
  local dir other
  [[ -s $run/made-dirs ]] || return 0
  # Removing a folder would unmount what another node has mounted on it, so the last node does it.
  for other in "$runs"/*/node/private-dirs; do
    if [[ -e $other && $other != "$node_dir/private-dirs" ]]; then
      cat "$run/made-dirs" >>"${other%/node/private-dirs}/made-dirs"
      rm -f "$run/made-dirs"
      return
    fi
  done
  tac "$run/made-dirs" | while read -r dir; do
    rmdir "$dir" || true
  done
  rm -f "$run/made-dirs"
}
