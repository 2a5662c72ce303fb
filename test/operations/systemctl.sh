#!/bin/sh
# What the document needs of systemctl, for machines that are network namespaces: starts, stops and
# restarts `shoal@<process>` as the unit in the document does, and waits until a started one is ready.
# ROOT is the folder that stands for the machine's root.
set -eu
# As under systemd, whatever the shell has: a usual umask, and none of its variables.
umask 022

start() {
  log="$ROOT/$1.log"
  : > "$log"
  setsid env -i "PATH=$PATH" LC_ALL=C.UTF-8 shoal "$1" --config "$ROOT/etc/shoal/$1.json" > "$log" 2>&1 < /dev/null &
  echo $! > "$ROOT/$1.pid"
  tries=0
  until grep -q '"ready":true' "$log"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 1200 ] || ! kill -0 "$(cat "$ROOT/$1.pid")" 2> /dev/null; then
      tail -n 20 "$log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

stop() {
  pid="$(cat "$ROOT/$1.pid")"
  kill -TERM "$pid"
  tries=0
  while kill -0 "$pid" 2> /dev/null; do
    tries=$((tries + 1))
    [ "$tries" -le 400 ] || exit 1
    sleep 0.1
  done
}

verb="$1"
shift
for unit in "$@"; do
  [ "$unit" = --now ] && continue
  name="${unit#shoal@}"
  case "$verb" in
    enable | start) start "$name" ;;
    stop) stop "$name" ;;
    restart) stop "$name" && start "$name" ;;
    *) exit 2 ;;
  esac
done
