#!/usr/bin/env bash
# A new machine to the whole test suite, two files at a time: tools/test.sh [pytest arguments]
# It runs on the CPU, whatever GPU there is, unless CUDA_VISIBLE_DEVICES is set (tests/conftest.py).
# Files in their own order: by number of tests, the few long ones would come last, one after another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh
ruff check .
python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder "$@"
