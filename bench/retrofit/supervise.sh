#!/usr/bin/env bash
# supervise.sh RUN.toml [PROGRAM]: trains, or goes on from the newest checkpoint, at the lowest priority, until the run is done. While the
# file $HOLD exists (default /work/tools/hold) the run stands still, so that others can time something; SIGTERM or SIGINT to this
# script make it write a checkpoint and end. THREADS (default 1): of the run.
set -uo pipefail
run=$(readlink -f "$1")
program=${2:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../build/release/src/cli/ingrain}
hold=${HOLD:-/work/tools/hold}
export OMP_NUM_THREADS=${THREADS:-1}
folder=$(dirname "$run")
checkpoints=$folder/$(sed -n '/^\[checkpoint\]/,/^\[/s/^folder *= *"\(.*\)"/\1/p' "$run")
ending=

while :; do
  args=(train "$run")
  compgen -G "$checkpoints/*.safetensors" > /dev/null && args+=(--resume)
  nice -n 19 "$program" "${args[@]}" >> "$folder/out.log" 2>&1 &
  pid=$!
  trap 'ending=1; kill -CONT $pid; kill -TERM $pid' TERM INT
  stopped=
  while kill -0 $pid 2> /dev/null; do
    if [[ -e $hold && -z $stopped ]]; then kill -STOP $pid; stopped=1; fi
    if [[ ! -e $hold && -n $stopped ]]; then kill -CONT $pid; stopped=; fi
    sleep 1
  done
  wait $pid
  rc=$?
  echo "$(date '+%F %T') the run ended with $rc" >> "$folder/out.log"
  [[ $rc == 0 || -n $ending || -d $checkpoints/model ]] && exit $rc # done, told to end, or the finished model is there
  sleep 60 # a full disk, a killed process: what was wrong may be over
done
