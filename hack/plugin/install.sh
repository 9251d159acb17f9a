#!/usr/bin/env bash
# Installs the kubectl plugin, and what kubectl completes its commands with: install.sh BINARY [DIRECTORY]
# The directory is one on your PATH. Default: /usr/local/bin if you may write to it, otherwise ~/.local/bin.
set -euo pipefail
binary=$1
directory=${2:-}
if [[ -z $directory ]]; then
  directory=/usr/local/bin
  [[ -w $directory ]] || directory=$HOME/.local/bin
fi
mkdir -p "$directory"

# Beside, and then renamed: a plugin that runs just now is not written to.
put() {
  install -m 755 "$1" "$directory/.$2.new"
  mv -f "$directory/.$2.new" "$directory/$2"
  echo "Installed $directory/$2"
}

completer=$(mktemp)
trap 'rm -f "$completer"' EXIT
put "$binary" kubectl-sequentialjob
for name in sequentialjob sj; do
  if [[ $name != sequentialjob ]]; then
    ln -sf kubectl-sequentialjob "$directory/kubectl-$name"
    echo "Installed $directory/kubectl-$name"
  fi
  "$directory/kubectl-$name" completion kubectl >"$completer"
  put "$completer" "kubectl_complete-$name"
done

case :$PATH: in
  *:"$directory":*) echo "Try: kubectl sj --help" ;;
  *) echo "$directory is not on your PATH, so kubectl does not find the plugin there. Add it: export PATH=\"$directory:\$PATH\"" ;;
esac
