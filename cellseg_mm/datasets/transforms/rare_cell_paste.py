"""Copy-paste of cells of rare classes, on planes."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS

from cellseg_mm.errors import UserError
from cellseg_mm.structures.label_map_masks import LabelMapMasks

Array = npt.NDArray[Any]

_MARGIN = 4  # pixels around a cell: its soft edge, and the surroundings that give the stain
_FEATHER = 1.0  # standard deviation of the soft edge, pixels
_TAKEN_PER_IMAGE = 8  # cells of one class, so that a bank holds cells of many images
_TRIES = 5  # places that are tried for a cell
_SMALLEST = 30  # pixels: what is smaller is a fragment or cannot be told
_GLASS = 220.0  # mean level of green above which there is hardly any tissue
_FLAT = 0.3  # share of pixels like their left neighbour above which a place is padding
_STRONGEST_GAIN = 1.15  # limit of the change of a cell's colour


class _Cell(NamedTuple):
    """A cell cut out with ``_MARGIN`` around it.

    Attributes:
        image: (h, w, 3) uint8, BGR.
        bitmap: (h, w) bool, the cell's pixels.
        opacity: (h, w, 1) float32 in 0 … 1, the bitmap with a soft edge.
        surroundings: (3,) mean colour outside the bitmap, BGR.
    """

    image: npt.NDArray[np.uint8]
    bitmap: npt.NDArray[np.bool_]
    opacity: npt.NDArray[np.float32]
    surroundings: npt.NDArray[np.float64]


@TRANSFORMS.register_module()
class RareCellPaste(BaseTransform):
    """Paste cells of rare classes, taken from training images seen before, into an image.

    As simple copy-paste (Ghiasi et al., CVPR 2021), but for the classes with few cells, and with
    the care that dense tissue needs: a pasted cell is flipped or turned by right angles, its colour
    goes half the way from its old surroundings' to its new ones', and its edge is soft. It lies on
    top: what it covers is taken from the cells below, at most the share ``max_cover`` of any of
    them. Glass and padding stay empty, or nearly so.

    Cells come from the samples that pass, so never from another split than the one that is trained
    on. Each worker keeps a bank of its own, of bounded size, which needs ``persistent_workers`` to
    outlast an epoch. Classes are rare by the counts in the images that the worker has seen. Random
    numbers come from NumPy's global generator.

    Required Keys:

    - img (np.uint8, BGR)
    - img_path (str)
    - labels (np.int64): classes of all cells of the image, of which a crop may hold some
    - gt_masks (LabelMapMasks)
    - gt_bboxes (HorizontalBoxes[torch.float32])
    - gt_bboxes_labels (np.int64)
    - gt_ignore_flags (bool)

    Modified Keys:

    - img
    - gt_masks
    - gt_bboxes
    - gt_bboxes_labels
    - gt_ignore_flags

    Args:
        max_cells: Most cells to paste into an image; the number is drawn uniformly from 0 on.
        rare_below: Classes with a smaller share of the cells are rare.
        max_cover: Largest share of a cell that pasted cells may cover in all.
        bank_size: Cells to keep of each class; the oldest leave first.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        max_cells: int = 8,
        rare_below: float = 0.1,
        max_cover: float = 0.15,
        bank_size: int = 64,
    ) -> None:
        for name, count in (("max_cells", max_cells), ("bank_size", bank_size)):
            if count < 1:
                raise UserError(f"{name}={count}: it counts cells, so set 1 or more.")
        if not 0 <= rare_below <= 1:
            raise UserError(f"rare_below={rare_below}: it is a share, so set 0 to 1.")
        if not 0 <= max_cover <= 0.5:
            raise UserError(f"max_cover={max_cover}: most of a cell must stay, so set 0 to 0.5.")
        self.max_cells = max_cells
        self.rare_below = rare_below
        self.max_cover = max_cover
        self.bank_size = bank_size
        self._bank: dict[int, deque[_Cell]] = {}
        self._counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._seen: set[str] = set()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paste cells into ``results`` and return it; its arrays are replaced, not changed."""
        rng = np.random.default_rng(np.random.randint(1 << 31))  # noqa: NPY002
        self._count(results)
        own = dict(results)  # what is pasted must not be collected
        rare = [label for label in self._rare_labels() if self._bank.get(label)]
        if rare:
            labels = rng.choice(rare, rng.integers(self.max_cells, endpoint=True))
            self._paste(results, labels, rng)
        self._collect(own, rng)
        return results

    def _count(self, results: dict[str, Any]) -> None:
        """Count the classes of an image when it comes for the first time."""
        if results["img_path"] in self._seen:
            return
        self._seen.add(results["img_path"])
        counts = np.bincount(results["labels"][results["labels"] >= 0], minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def _rare_labels(self) -> list[int]:
        rare = self._counts < self.rare_below * self._counts.sum()
        labels: list[int] = np.flatnonzero(rare & (self._counts > 0)).tolist()
        return labels

    def _collect(self, results: dict[str, Any], rng: np.random.Generator) -> None:
        """Put cells of rare classes into the bank, of those that lie inside with their margin."""
        image, masks = results["img"], results["gt_masks"]
        x1, y1, x2, y2 = results["gt_bboxes"].tensor.numpy().astype(int).T
        inside = (
            (np.minimum(x1, y1) >= _MARGIN)
            & (x2 <= masks.width - _MARGIN)
            & (y2 <= masks.height - _MARGIN)
            & ~results["gt_ignore_flags"]
        )
        for label in self._rare_labels():
            bank = self._bank.setdefault(label, deque(maxlen=self.bank_size))
            found = np.flatnonzero(inside & (results["gt_bboxes_labels"] == label))
            for i in rng.permutation(found)[:_TAKEN_PER_IMAGE]:
                window = np.s_[
                    ..., y1[i] - _MARGIN : y2[i] + _MARGIN, x1[i] - _MARGIN : x2[i] + _MARGIN
                ]
                bitmap = (masks.planes[window] == masks.ids[i]).any(axis=0)
                if bitmap.sum() < _SMALLEST:
                    continue
                colours = image[window[1:]].copy()
                if _touches_padding(colours):
                    continue  # the border of its image cuts the cell, or nearly so
                opacity = cv2.GaussianBlur(bitmap.astype(np.float32), (0, 0), _FEATHER)[..., None]
                bank.append(_Cell(colours, bitmap, opacity, _mean_colour(colours, ~bitmap)))

    def _paste(
        self, results: dict[str, Any], labels: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        masks: LabelMapMasks = results["gt_masks"]
        image, planes = results["img"].copy(), masks.planes.copy()
        first_id = 1 + int(max(planes.max(initial=0), masks.ids.max(initial=0)))
        # Pixels of each id that may still be covered.
        spare = self.max_cover * np.bincount(planes.ravel(), minlength=first_id + len(labels))
        pasted: list[int] = []
        for label in labels:
            bank = self._bank[label]
            cell = _turn(bank[rng.integers(len(bank))], int(rng.integers(8)))
            window = _find_place(cell, image, planes, spare, rng)
            if window is None:
                continue
            image[window] = _blend(cell, image[window])
            below = planes[:, *window]
            spare -= np.bincount(below[:, cell.bitmap].ravel(), minlength=len(spare))
            below[:, cell.bitmap] = 0
            below[0, cell.bitmap] = instance_id = first_id + len(pasted)
            spare[instance_id] = self.max_cover * cell.bitmap.sum()
            pasted.append(label)
        if not pasted:
            return
        ids = np.append(masks.ids, first_id + np.arange(len(pasted)))
        flags = results["gt_ignore_flags"]
        results["img"] = image
        results["gt_masks"] = LabelMapMasks(planes, ids)
        results["gt_bboxes"] = results["gt_masks"].get_bboxes()
        results["gt_bboxes_labels"] = np.append(results["gt_bboxes_labels"], pasted)
        results["gt_ignore_flags"] = np.append(flags, np.zeros(len(pasted), bool))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(max_cells={self.max_cells}, rare_below={self.rare_below}, "
            f"max_cover={self.max_cover}, bank_size={self.bank_size})"
        )


def _touches_padding(image: npt.NDArray[np.uint8]) -> bool:
    """Whether a side of an image is of one colour."""
    sides = (image[0], image[-1], image[:, 0], image[:, -1])
    return any((side == side[0]).all() for side in sides)


def _turn(cell: _Cell, symmetry: int) -> _Cell:
    """One of the eight symmetries of a square: quarter turns, then from 4 on a flip."""

    def turn(array: Array) -> Array:
        turned = np.rot90(array, symmetry % 4)
        return np.ascontiguousarray(turned[:, ::-1] if symmetry >= 4 else turned)

    return _Cell(turn(cell.image), turn(cell.bitmap), turn(cell.opacity), cell.surroundings)


def _find_place(
    cell: _Cell, image: Array, planes: Array, spare: Array, rng: np.random.Generator
) -> tuple[slice, slice] | None:
    """Window of tissue where the cell covers no other too much; None if no try finds one."""
    height, width = cell.bitmap.shape
    room = np.subtract(image.shape[:2], (height, width))
    if room.min() < 0:
        return None
    for top, left in rng.integers(room, endpoint=True, size=(_TRIES, 2)):
        window = (slice(top, top + height), slice(left, left + width))
        covered = planes[:, *window][:, cell.bitmap]
        ids, counts = np.unique(covered[covered > 0], return_counts=True)
        if (counts <= spare[ids]).all() and _is_tissue(image[window], cell.bitmap):
            return window
    return None


def _is_tissue(image: npt.NDArray[np.uint8], bitmap: npt.NDArray[np.bool_]) -> bool:
    """Whether there is neither glass nor padding below a cell."""
    if _mean_colour(image, bitmap)[1] > _GLASS:
        return False
    green = image[..., 1]
    same = (green[:, 1:] == green[:, :-1])[bitmap[:, 1:]]
    return bool(same.mean() <= _FLAT)


def _blend(cell: _Cell, below: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lay a cell over a window of an image, its colour matched to what surrounds it there.

    Colours are multiplied, which adds to the optical density and leaves dark nuclei dark.
    """
    change = (_mean_colour(below, ~cell.bitmap) + 1) / (cell.surroundings + 1)
    gain = np.sqrt(change).clip(1 / _STRONGEST_GAIN, _STRONGEST_GAIN)
    matched = np.minimum(cell.image * gain.astype(np.float32), 255)
    return np.rint(below + cell.opacity * (matched - below)).astype(np.uint8)


def _mean_colour(
    image: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """(3,) mean over some pixels."""
    return np.array(cv2.mean(image, mask=where.view(np.uint8))[:3])
