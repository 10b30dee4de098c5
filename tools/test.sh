#!/usr/bin/env bash
# A new machine to the whole test suite: tools/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup.sh
ruff check .
python -m pytest "$@"
