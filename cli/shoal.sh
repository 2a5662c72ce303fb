#!/bin/sh
# Starts the `shoal` command with the Node that `npm ci` brought. What can keep that Node from running is
# said here in one line, because no program of ours runs without it.
root=$(dirname "$0")/..
node="$root/node_modules/node/bin/node"
if [ ! -x "$node" ]; then
  echo "shoal: Node 26 is not installed here. Run: npm ci   (without --ignore-scripts)" >&2
  exit 2
fi
if ! reason=$("$node" --version 2>&1 >/dev/null); then
  case "$reason" in
    *libatomic*) echo "shoal: libatomic is not installed. Run: apt-get install libatomic1   (or dnf install libatomic), then npm ci again" >&2 ;;
    *) echo "shoal: Node 26 doesn't run here: $reason" >&2 ;;
  esac
  exit 2
fi
exec "$node" "$root/cli/src/main.ts" "$@"
