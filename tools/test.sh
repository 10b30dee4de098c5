#!/usr/bin/env bash
# A new machine to the whole test suite, two files at a time: tools/test.sh [--fast] [pytest arguments]
# --fast leaves out the tests marked slow: trainings, benchmarks, and whatever starts many processes.
# It runs on the CPU, whatever GPU there is, unless CUDA_VISIBLE_DEVICES is set (tests/conftest.py).
# Files in their own order: by number of tests, the few long ones would come last, one after another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh
selection="not full_size"
if [ "${1:-}" = --fast ]; then
  selection="not full_size and not slow"
  shift
fi
ruff format --check .
ruff check .
python tools/density.py a2d_tf \
  --most tuple=0.5 ifexp=7 comp=20 multi=0.5 spread=0.5 loopif=0 times=0.2 long=0
# Types are those of TensorFlow 2.15's environment; the newest NumPy's need a newer Python.
if python -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then mypy; fi
python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder -m "$selection" "$@"
