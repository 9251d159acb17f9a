# Sourced by cluster.sh: messages, steps, and processes that are known by a pid file.
# shellcheck shell=bash disable=SC2154 # cluster.sh sets the variables

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "ERROR: $*"
  exit 1
}

# Everything here talks to addresses of this machine; a proxy from the user's environment would only be in the way.
without_proxy() {
  env -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u http_proxy -u https_proxy -u all_proxy "$@" 9>&-
}

show_log() {
  if [[ -s $1 ]]; then
    say "--- last lines of $1"
    tail -n 20 "$1" >&2
    say "---"
  fi
}

# step TITLE LOG COMMAND...: runs the command with its output in LOG; when it fails, says so and shows the log's end.
step() {
  local title=$1 log=$2 begin=$SECONDS status
  shift 2
  printf '  %-44s ' "$title ..." >&2
  mkdir -p "$(dirname "$log")"
  set +e
  # The subshell of its own keeps "set -e" working inside the command, which an "if" around it would switch off.
  (
    set -e
    "$@"
  ) >>"$log" 2>&1
  status=$?
  set -e
  if [[ $status -ne 0 ]]; then
    say "FAILED"
    show_log "$log"
    fail "cluster \"$CLUSTER_NAME\": the step \"$title\" failed; its log is $log"
  fi
  say "$((SECONDS - begin))s"
}

# retry SECONDS COMMAND...: until the command succeeds. Its last output is shown when the time is over.
retry() {
  local deadline=$((SECONDS + $1)) out
  shift
  until out=$("$@" 2>&1); do
    if ((SECONDS >= deadline)); then
      say "gave up on: $*"
      say "$out"
      return 1
    fi
    sleep 0.2
  done
}

# A pid file outlives a crash or a reboot and the number may then belong to somebody else. Every process started
# here carries its cluster's folder in its arguments, which tells it apart. Prints the pid if it is really ours.
pid_of() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ ]] || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$run/" || return 1
  echo "$pid"
}

# stop_pids SECONDS PIDFILE...: asks the processes to end, all at once, and kills what is left after the seconds.
stop_pids() {
  local deadline=$((SECONDS + $1)) file pid
  shift
  for file in "$@"; do
    if pid=$(pid_of "$file"); then kill -TERM "$pid" 2>/dev/null || true; fi
  done
  for file in "$@"; do
    while pid=$(pid_of "$file"); do
      if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.1
    done
    rm -f "$file"
  done
}
