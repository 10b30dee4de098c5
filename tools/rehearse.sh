#!/usr/bin/env bash
# The README's A2D commands from the archive to the report, on drawn videos and random weights:
#   tools/rehearse.sh [WORKDIR]           the paper's network, all rows
#   tools/rehearse.sh --short [WORKDIR]   a check of the archive and one row of a small network
# Needs neither A2D nor pretrained weights; by default in ./work/rehearsal or ./work/rehearsal_short.
# Run again, it goes on where it stopped; delete WORKDIR to start anew.
set -euo pipefail

short=false workdir=
for word in "$@"; do
  case "$word" in
    --short) short=true ;;
    -*) echo "usage: tools/rehearse.sh [--short] [WORKDIR]" >&2; exit 2 ;;
    /*) workdir=$word ;;
    *) workdir=$PWD/$word ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh
[ -n "$workdir" ] || { workdir=work/rehearsal; [ $short = false ] || workdir+=_short; }
exec python tools/rehearse.py --workdir="$workdir" --short=$short
