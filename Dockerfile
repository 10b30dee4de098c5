# For machines without a Python 3.9 to 3.13, or not to touch theirs:
#   docker build -t a2d_tf .                               for the processor
#   docker build -t a2d_tf:gpu --build-arg DEVICE=gpu .    with CUDA's libraries, 3 GB more
#   docker run --rm -v "$PWD/work:/a2d_tf/work" a2d_tf python -m a2d_tf mini --output=work/mini
#   docker run --rm --gpus all -v ... a2d_tf:gpu python -m a2d_tf train ...
# tensorflow-addons is for x86-64 alone; elsewhere: --platform=linux/amd64.
FROM python:3.11-slim-bookworm

# What OpenCV loads; the rest is in its wheel.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /a2d_tf

# Before the code, so that a change there installs nothing again.
ARG DEVICE=cpu
COPY requirements.txt requirements-gpu.txt ./
RUN case "$DEVICE" in \
      cpu) files="-r requirements.txt" ;; \
      gpu) files="-r requirements.txt -r requirements-gpu.txt" ;; \
      *) echo "DEVICE is cpu or gpu, not $DEVICE" >&2; exit 1 ;; \
    esac \
 && pip install --no-cache-dir --only-binary=:all: $files

COPY . .
ENV PYTHONPATH=/a2d_tf MPLCONFIGDIR=/tmp/matplotlib
CMD ["python", "-m", "pytest", "--numprocesses=2", "--dist=loadfile"]
