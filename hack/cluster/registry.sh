# Sourced by cluster.sh: a registry of images beside the real node, to push to and pull from. It is a process of this machine that
# listens only on the cluster's own link, without TLS. "down" stops it with everything else of the node.
# shellcheck shell=bash disable=SC2154 # cluster.sh sets the variables

registry_dir=$run/registry
registry_pid=$run/pids/registry.pid
# What buildah and podman have to be told (CONTAINERS_REGISTRIES_CONF), and containerd in the folder that its configuration names.
registries_conf=$registry_dir/registries.conf
registry_hosts=$run/node/registries

# Only the program is taken from Debian's package: installed, it would be a service of the machine.
registry_binary() {
  local work
  if [[ -x $bin/docker-registry ]]; then return; fi
  command -v apt-get >/dev/null || fail "the registry is Debian's package docker-registry, and there is no apt-get"
  work=$(mktemp -d)
  (
    trap 'rm -rf "$work"' EXIT
    cd "$work" || exit
    apt-get download docker-registry || { apt-get update && apt-get download docker-registry; }
    dpkg-deb -x docker-registry_*.deb .
    mv usr/bin/docker-registry "$bin/docker-registry"
  )
}

listens() { timeout 1 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null; }

free_port() {
  local port
  for port in {5000..5019}; do
    if ! listens "$host_ip" "$port"; then
      echo "$port"
      return
    fi
  done
  return 1
}

registry_start() {
  local port
  registry_binary
  mkdir -p "$registry_dir"
  port=$(free_port)
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: "%s/data"}}\nhttp: {addr: "%s:%s"}\n' "$registry_dir" "$host_ip" "$port" \
    >"$registry_dir/config.yml"
  printf '[[registry]]\nlocation = "%s:%s"\ninsecure = true\n' "$host_ip" "$port" >"$registries_conf"
  mkdir -p "$registry_hosts/$host_ip:$port"
  printf '[host."http://%s:%s"]\n' "$host_ip" "$port" >"$registry_hosts/$host_ip:$port/hosts.toml"
  env -i PATH="$PATH" setsid "$bin/docker-registry" serve "$registry_dir/config.yml" </dev/null >>"$run/logs/registry.log" 2>&1 9>&- &
  echo $! >"$registry_pid"
  retry 20 listens "$host_ip" "$port"
  echo "$host_ip:$port" >"$registry_dir/name"
}

registry() {
  take_lock
  need_real_node "push to"
  node_network
  if ! pid_of "$registry_pid" >/dev/null; then
    step "registry" "$run/logs/registry.log" registry_start
  fi
  cat "$registry_dir/name"
}

registry_stop() {
  take_lock
  stop_pids 5 "$registry_pid"
  rm -rf "$registry_dir" "$registry_hosts"
}
