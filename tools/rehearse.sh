#!/usr/bin/env bash
# The A2D commands from the archive to the report, on drawn videos and random weights:
#   tools/rehearse.sh [--short] [WORKDIR]     --short: one row of a small network
# Needs neither A2D nor pretrained weights; by default in ./work/rehearsal or ./work/rehearsal_short.
# The same command resumes an interrupted rehearsal; delete WORKDIR to begin again.
set -euo pipefail
short=false root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ "${1:-}" = --short ]; then short=true; shift; fi
workdir=$root/work/rehearsal
[ $short = false ] || workdir+=_short
case "${1:-}" in
  "") ;;
  /*) workdir=$1 ;;
  *) workdir=$PWD/$1 ;;
esac
cd "$root"
source tools/setup.sh
exec python tools/rehearse.py --workdir="$workdir" --short=$short
