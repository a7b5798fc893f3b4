#!/bin/bash
# Asks the executor of this container to hand over its work, and waits until it has ended, for at most a minute.
# Called as the preStop hook when spark.decommission.enabled is set.

for folder in /proc/[0-9]*; do
  if tr '\0' ' ' 2>/dev/null <"$folder/cmdline" | grep -q 'ExecutorBackend'; then
    pid=${folder#/proc/}
  fi
done
if [ -z "$pid" ]; then
  echo "there is no executor in this container" >&2
  exit 0
fi
echo "asking executor process $pid to decommission"
kill -s PWR "$pid"
timeout 60 tail --pid="$pid" -f /dev/null
# The driver is to see the end of the executor before it sees that of the pod.
sleep 1
