#!/bin/sh
# The Dockerfile's steps in a fresh environment, for machines without a container engine, and then a
# first result without network: the time from the command to the files of IMAGE.
#   sh docker/check_install.sh IMAGE
set -eu
image=$(realpath "$1")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
PYTHON="$folder/venv/bin/python" sh docker/install.sh
cd "$folder" # not the checkout: the installed package is what is tried
start=$(date +%s)
# A network of its own has no route to any other.
unshare --net --map-root-user "$folder/venv/bin/cellseg" segment "$image" --out "$folder/cells"
echo "first result after $(($(date +%s) - start)) s"
ls -l "$folder/cells"
