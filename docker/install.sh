#!/bin/sh
# Installs the package of this checkout and what it needs, at the tested versions, into the Python
# named by PYTHON (default: python3). The Dockerfile and docker/check_install.sh run it.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
# Unquoted on purpose: several options.
"$PYTHON" -m pip install -c constraints.txt ${TORCH_OPTIONS:-} torch torchvision
"$PYTHON" -m pip install -c constraints.txt .
# Two dependencies bring two builds of OpenCV; the headless one, installed last, needs no libGL.
"$PYTHON" -m pip install -c constraints.txt --no-deps --force-reinstall opencv-python-headless
