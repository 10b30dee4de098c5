#!/usr/bin/env bash
# Makes .venv with the pinned requirements and the command a2d, and puts it in front of PATH. A second
# run finds it ready. The .venv is that of the repository this file is in, whatever folder it is called from.
#   source tools/setup.sh          also what demo.sh and test.sh do
#   tools/setup.sh --gpu           with CUDA's libraries for an NVIDIA GPU, 3 GB more; also sourced
# Python 3.9 to 3.11 gets TensorFlow 2.15 (requirements.txt); 3.12 or 3.13, if PYTHON names it, there
# is no older one, or the GPU needs it, the newest (requirements-latest.txt). A .venv for a GPU stays
# one when the requirements change.

# TensorFlow 2.15 has no kernels for a GPU of compute capability 9, such as an H100, and newer ones:
# it would compile them at its first start.
is_new_gpu() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
  [ "${capability%%.*}" -ge 9 ] 2>/dev/null
}

find_python() {
  local candidate candidates=(python3.11 python3.10 python3.9 python3 python python3.12 python3.13)
  if [ -n "${1:-}" ] && is_new_gpu; then
    candidates=(python3.12 python3.13 "${candidates[@]}")
  fi
  for candidate in "${PYTHON:-}" "${candidates[@]}"; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  cat >&2 <<'MESSAGE'
error: no Python 3.9 to 3.13 with venv found; TensorFlow needs one.
  Debian, Ubuntu:   apt-get install python3.11 python3.11-venv
  pyenv:            pyenv install 3.11 && PYTHON=$(pyenv prefix 3.11)/bin/python tools/demo.sh
  uv:               uv python install 3.11 && PYTHON=$(uv python find 3.11) tools/demo.sh
  conda:            conda create -n a2d python=3.11 && conda activate a2d
  Docker:           docker build -t a2d_tf .
Or name one: PYTHON=/path/to/python3.11 tools/demo.sh
MESSAGE
  return 1
}

make_environment() {
  local gpu="" python requirements=(-r requirements.txt -r requirements-latest.txt)
  local sum installed
  case "${1:-}" in
    "") ;;
    --gpu) gpu=" gpu" ;;
    *) echo "usage: tools/setup.sh [--gpu], or source tools/setup.sh [--gpu]" >&2; return 2 ;;
  esac
  sum=$(cat requirements.txt requirements-latest.txt requirements-gpu.txt | cksum)
  installed=$(cat .venv/installed 2>/dev/null)
  case "$installed" in *gpu) gpu=" gpu" ;; esac
  if [ ! -x .venv/bin/python ] || [ "${installed% gpu}" != "$sum" ] ||
    { [ -n "$gpu" ] && [ "$installed" = "$sum" ] && is_new_gpu; }; then
    python=$(find_python "$gpu") || return 1
    echo "== making .venv with $("$python" --version), installing the requirements (about a minute)"
    "$python" -m venv --clear .venv || return 1
  elif [ "$installed" = "$sum$gpu" ] && [ -x .venv/bin/a2d ]; then
    return
  fi
  if [ -n "$gpu" ]; then
    echo "== with CUDA's libraries, 3 GB (some minutes)"
    requirements+=(-r requirements-gpu.txt)
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${requirements[@]}" ||
    return 1
  # TensorFlow finds these libraries by itself: LD_LIBRARY_PATH need not name them. Only 2.21 looks
  # for cuSOLVER in none but the other libraries' folders.
  local nvidia
  for nvidia in .venv/lib/python*/site-packages/nvidia; do
    [ ! -e "$nvidia/cusolver/lib/libcusolver.so.11" ] ||
      ln -sf ../../cusolver/lib/libcusolver.so.11 "$nvidia/cusparse/lib/" || return 1
  done
  # The command a2d, which needs no PYTHONPATH.
  cat >.venv/bin/a2d <<COMMAND || return 1
#!$PWD/.venv/bin/python
import sys

sys.path[0] = "$PWD"
from a2d_tf.__main__ import run

if __name__ == "__main__":
    run()
COMMAND
  chmod +x .venv/bin/a2d
  if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
    echo "error: OpenCV lacks a system library; Debian, Ubuntu: apt-get install libgl1 libglib2.0-0" >&2
    return 1
  fi
  echo "$sum$gpu" >.venv/installed
}

# A script that sources this hands it its own arguments, which mean nothing here: words count where
# a person gave them, to a shell or to this file as a program. zsh names a sourced file in $0.
a2d_root=$(CDPATH= cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)
if [ "${#BASH_SOURCE[@]}" -gt 1 ]; then
  (cd "$a2d_root" && make_environment) || return 1
elif [ "${BASH_SOURCE[0]:-}" = "$0" ]; then
  cd "$a2d_root" && make_environment "$@"
  exit
else
  (cd "$a2d_root" && make_environment "$@") || return 1
fi
export PATH="$a2d_root/.venv/bin:$PATH" PYTHONPATH="$a2d_root"
unset a2d_root
