"""Transforms on images with planes; one file each."""

import os

# Albumentations asks a server for its newest version whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from cellseg_mm.datasets.transforms.cell_crop import CellCrop
from cellseg_mm.datasets.transforms.hed_jitter import HEDJitter
from cellseg_mm.datasets.transforms.rare_cell_paste import RareCellPaste

__all__ = ["CellCrop", "HEDJitter", "RareCellPaste"]
