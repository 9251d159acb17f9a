#!/usr/bin/env bash
# Becomes the first process of a node, in PID, mount and network namespaces that "unshare" has just made.
# Ending this process ends everything on the node, and its mounts and interfaces with it.
#
#   node-init.sh RUN_DIR PIDFILE PAUSE_BINARY
set -euo pipefail
run=$1 pidfile=$2 pause=$3

# /proc is still the host's, so this is the process id that the host knows.
read -r host_pid _ </proc/self/stat

mount --make-rshared / # volumes with mount propagation want it; "unshare" has cut it off from the host
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run

# containerd and kubelet write to these whatever they are told.
while read -r dir; do
  mkdir -p "$run/node/private$dir"
  mount --bind "$run/node/private$dir" "$dir"
done <"$run/node/private-dirs"

# kubelet sets kernel parameters of the whole machine, such as rebooting after a panic. These files, which already
# say what kubelet wants to read, keep it from the real ones.
pin() {
  local file=$run/node/sysctl/${1//\//.}
  mkdir -p "$(dirname "$file")"
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
pin vm/overcommit_memory 1
pin vm/panic_on_oom 0
pin kernel/panic 10
pin kernel/panic_on_oops 1
pin kernel/keys/root_maxkeys 1000000
pin kernel/keys/root_maxbytes 25000000

ip link set lo up
echo "$host_pid" >"$pidfile"
exec "$pause" "$run/" # the argument tells whose process this is
