#!/usr/bin/env bash
# A new machine to the whole test suite, two files at a time: tools/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh
ruff check .
python -m pytest --numprocesses=2 --dist=loadfile "$@"
