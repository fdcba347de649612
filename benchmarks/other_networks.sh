#!/bin/sh
# Seconds a megapixel of other tools' networks on one core, beside `python benchmarks/segment_image.py`:
#   sh benchmarks/other_networks.sh IMAGE [OPTION of benchmarks/other_networks.py ...]
# Their packages go into an environment of their own, work_dirs/other_networks: 9 GB, some minutes.
set -eu
here=$(dirname "$0")
home=${OTHER_NETWORKS:-work_dirs/other_networks}
if ! test -e "$home/.installed"; then
    "${PYTHON:-python3}" -m venv "$home"
    "$home/bin/pip" install --quiet torch==2.14.1 torchvision==0.29.1 cellpose==4.2.1.1 \
        instanseg-torch==0.1.2 stardist==0.9.2 tensorflow-cpu==2.21.0
    # Another network under the same name of package.
    "$home/bin/pip" install --quiet --no-deps --target "$home/cellpose3" cellpose==3.1.1.2
    touch "$home/.installed"
fi
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3
echo "| network | parameters | what it sees | CPU s/Mpx | wall s/Mpx | CPU s/Mpx that it sees |"
echo "|---|--:|---|--:|--:|--:|"
for network in instanseg stardist cellpose3-nuclei cellpose3-cyto3 cellpose-sam; do
    case $network in cellpose3*) packages=$home/cellpose3 ;; *) packages= ;; esac
    PYTHONPATH=$packages "$home/bin/python" "$here/other_networks.py" $network "$@" 2>"$home/errors" |
        grep '^|' || { cat "$home/errors" >&2; exit 1; }
done
