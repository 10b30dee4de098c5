#!/usr/bin/env bash
# The A2D commands from the archive to the report, on drawn videos and random weights:
#   tools/rehearse.sh [--short] [WORKDIR]     --short: one row of a small network
# Needs neither A2D nor pretrained weights; by default in ./work/rehearsal or ./work/rehearsal_short.
# The network is the paper's; its figures mean nothing. The seconds of each command are printed. The
# same command resumes an interrupted rehearsal; delete WORKDIR to begin again.
set -euo pipefail
short=false root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ "${1:-}" = --short ]; then short=true; shift; fi
workdir=$root/work/rehearsal
[ $short = false ] || workdir+=_short
workdir=$(realpath -m "${1:-$workdir}")
cd "$root"
source tools/setup.sh
mkdir -p "$workdir/done"
cd "$workdir"
export A2D_TF_CACHE=$workdir/cache TIMEFORMAT='%0R seconds'

# Runs a command, unless it has ended well before.
run() {
  local mark
  mark=done/$(cksum <<<"$*" | cut -d ' ' -f 1)
  [ ! -e "$mark" ] || return 0
  printf '\n== %s\n' "$*"
  time "$@"
  touch "$mark"
}
reproduce() { run a2d reproduce --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d --nofinal "$@"; }

run a2d mini --output=. --videos=$([ $short = true ] && echo 4 || echo 48)
run a2d records --release=Release --check --workers=2
if [ $short = true ]; then
  cat >small.flags <<FLAGS
--flagfile=configs/a2d.flags
--flagfile=$root/tools/tiny.flags
--norm=group_norm
--flow_norm=same
--mask_layers=1
--test_proposals=20
--train_proposals=50
--max_detections=5
FLAGS
  reproduce --base=small.flags --runs=mask_rcnn_baseline --train=--init_rgb= --train=--init_flow= \
    --train=--steps=1 --train=--batch_size=1 --train=--val_fraction=0 --train=--pictures=1
  exit
fi
for names in coco:matterport imagenet:keras_resnet101; do
  run python "$root/tools/make_random_weights.py" --source="${names#*:}" --output="${names%:*}.h5"
  run a2d weights --source="${names#*:}" --input="${names%:*}.h5" \
    --output="cache/weights/${names%:*}.h5"
done
weights=(--init_rgb=coco --init_flow=imagenet)
# Two of the 38 videos are for validation.
brief=(--steps=2 --batch_size=1 --val_fraction=0.05)
run a2d records --release=Release --output=records --workers=2
run a2d inspect --records=records --json=records.json
run a2d weights coco imagenet
run a2d doctor --records=records "${weights[@]}"
run a2d train --flagfile=configs/a2d.flags "${weights[@]}" --records=records \
  --workdir=runs/full "${brief[@]}"
run a2d evaluate --workdir=runs/full --records=records --split=test
run a2d browse --run=runs/full --records=records
run a2d export --workdir=runs/full --output=exports/full
run a2d predict --saved_model=exports/full --video=Release/clips320H --output=out --every=5 --end=1
reproduce --delete_weights "${brief[@]/#/--train=}"
