"""The data set and its transforms; importing this registers them with MMDetection."""

import cellseg_mm.ops  # noqa: F401  (before mmdet: it makes mmcv.ops importable)
from cellseg_mm.datasets.cell_dataset import CellDataset
from cellseg_mm.datasets.transforms.albu_label_maps import AlbuLabelMaps
from cellseg_mm.datasets.transforms.load_cell_labels import LoadCellLabels
from cellseg_mm.datasets.worker_seeding import seed_worker

__all__ = ["AlbuLabelMaps", "CellDataset", "LoadCellLabels", "seed_worker"]
