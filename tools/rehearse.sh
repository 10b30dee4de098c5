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

# Runs a command of Python, unless it has ended well before.
run() {
  local mark
  mark=done/$(cksum <<<"$*" | cut -d ' ' -f 1)
  [ ! -e "$mark" ] || return 0
  printf '\n== python %s\n' "$*"
  time python "$@"
  touch "$mark"
}
tool() { run "$root/tools/$1.py" "${@:2}"; }
reproduce() { tool reproduce --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d --nofinal "$@"; }

tool make_mini_a2d --output=. --videos=$([ $short = true ] && echo 4 || echo 48)
tool build_records --release=Release --check --workers=2
if [ $short = true ]; then
  cat >small.flags <<'FLAGS'
--flagfile=configs/a2d.flags
--image_height=64
--image_width=96
--backbone=resnet14
--width_multiplier=0.125
--norm=group_norm
--flow_norm=same
--fpn_channels=16
--rpn_channels=16
--head_units=32
--mask_channels=16
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
  tool make_random_weights --source="${names#*:}" --output="${names%:*}.h5"
  tool import_weights --source="${names#*:}" --input="${names%:*}.h5" \
    --output="cache/weights/${names%:*}.h5"
done
weights=(--init_rgb=coco --init_flow=imagenet)
# Two of the 38 videos are for validation.
brief=(--steps=2 --batch_size=1 --val_fraction=0.05)
tool build_records --release=Release --output=records --workers=2
tool inspect_records --records=records --json=records.json
tool get_weights coco imagenet
tool doctor --records=records "${weights[@]}"
run -m a2d_tf.train --flagfile=configs/a2d.flags "${weights[@]}" --records=records \
  --workdir=runs/full "${brief[@]}"
run -m a2d_tf.evaluate --workdir=runs/full --records=records --split=test
tool browse --run=runs/full --records=records
run -m a2d_tf.export --workdir=runs/full --output=exports/full
run -m a2d_tf.predict --saved_model=exports/full --video=Release/clips320H --output=out --every=5 --end=1
reproduce --delete_weights "${brief[@]/#/--train=}"
