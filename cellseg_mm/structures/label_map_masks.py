"""Instance masks as planes of ids: the project's counterpart of MMDetection's ``BitmapMasks``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmdet.structures.mask.structures import BaseInstanceMasks
from torch import Tensor

from cellseg_mm.errors import UserError
from cellseg_mm.ops.roi_align_planes import roi_align_planes
from cellseg_mm.structures.planes import InstanceCrop, instance_extents, pack_planes

Array = npt.NDArray[Any]


class LabelMapMasks(BaseInstanceMasks):
    """Masks of N instances of one image, stored as planes of instance ids.

    Stands wherever MMDetection expects ``BitmapMasks`` and gives the same results, but holds
    (P, H, W) integers instead of (N, H, W) bitmaps, with P = 1 unless instances overlap. Memory and
    time depend on the image, not on the number of instances; selecting instances touches the ids
    only. Pixels of ids that were not selected count as background.

    Masks lie on the host as NumPy arrays. After :meth:`to` they are tensors on a device, where
    indexing, padding and :meth:`sample` work without leaving it; other operations return masks on
    the host.

    Args:
        planes: (P, H, W) integer instance ids, 0 = background. Kept, not copied.
        ids: (N,) the id of each instance. An id without pixels is an empty mask.

    Raises:
        ValueError: A shape is wrong, or an id is not positive.
    """

    def __init__(self, planes: Array | Tensor, ids: Array | Tensor | Sequence[int]) -> None:
        if planes.ndim != 3:
            raise UserError(f"planes must be (P, H, W), but have the shape {tuple(planes.shape)}.")
        if not isinstance(ids, Tensor):
            ids = np.asarray(ids, np.int64)
        if ids.ndim != 1:
            raise UserError(f"ids must be (N,), but have the shape {tuple(ids.shape)}.")
        if isinstance(ids, np.ndarray) and ids.size and ids.min() < 1:
            raise UserError(f"ids must be positive (0 is background), but one is {ids.min()}.")
        self.planes: Any = planes
        self.ids: Any = ids

    @classmethod
    def from_bitmaps(cls, bitmaps: Array) -> LabelMapMasks:
        """Pack (N, H, W) bitmaps; ids are 1 … N in their order."""
        count, height, width = bitmaps.shape
        crops = (InstanceCrop(i + 1, 0, 0, bitmap.astype(bool)) for i, bitmap in enumerate(bitmaps))
        return cls(pack_planes(crops, height, width), np.arange(1, count + 1))

    @property
    def height(self) -> int:
        """Image height, pixels."""
        return int(self.planes.shape[1])

    @property
    def width(self) -> int:
        """Image width, pixels."""
        return int(self.planes.shape[2])

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle host planes in the smallest dtype: workers send every sample through a pipe.

        Without instances (the ignored ones of a sample, usually) only the size matters.
        """
        planes = self.planes
        if isinstance(planes, np.ndarray):
            if not len(self):
                planes = (self.height, self.width)
            else:
                planes = planes.astype(np.min_scalar_type(planes.max(initial=0)))
        return {"planes": planes, "ids": self.ids}

    def __setstate__(self, state: dict[str, Any]) -> None:
        planes, self.ids = state["planes"], state["ids"]
        if isinstance(planes, tuple):
            planes = np.broadcast_to(np.int32(0), (1, *planes))
        elif isinstance(planes, np.ndarray):
            planes = planes.astype(np.int32)
        self.planes = planes

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_masks={len(self)}, height={self.height}, "
            f"width={self.width}, num_planes={len(self.planes)})"
        )

    def __getitem__(self, index: Any) -> LabelMapMasks:
        """Select instances by an integer, a slice, an integer array or a Boolean array."""
        if isinstance(index, Tensor) and isinstance(self.ids, np.ndarray):
            index = index.cpu().numpy()
        return LabelMapMasks(self.planes, self.ids[index].reshape(-1))

    def __iter__(self) -> Iterator[Array]:
        """Yield the instances' (H, W) uint8 bitmaps, one at a time."""
        host = self.numpy()
        for instance_id in host.ids:
            yield (host.planes == instance_id).any(axis=0).astype(np.uint8)

    def to(self, *args: Any, **kwargs: Any) -> LabelMapMasks:
        """Move to a device; arguments as ``torch.Tensor.to`` (a dtype would round the ids).

        The planes become int32 tensors, the ids int64 tensors.
        """
        if len(self):
            planes = torch.as_tensor(self.planes, dtype=torch.int32).to(*args, **kwargs)
        else:  # only the size matters: nothing to copy to the device
            background = torch.zeros((1, 1, 1), dtype=torch.int32).to(*args, **kwargs)
            planes = background.expand(1, self.height, self.width)
        ids = torch.as_tensor(self.ids, dtype=torch.int64).to(*args, **kwargs)
        return LabelMapMasks(planes, ids)

    def numpy(self) -> LabelMapMasks:
        """The same masks on the host."""
        if isinstance(self.planes, np.ndarray):
            return self
        ids = self.ids.cpu().numpy() if isinstance(self.ids, Tensor) else self.ids
        return LabelMapMasks(self.planes.cpu().numpy(), ids)

    def flip(self, flip_direction: str = "horizontal") -> LabelMapMasks:
        """Mirror: "horizontal", "vertical" or "diagonal" (both)."""
        return self._map(lambda plane: mmcv.imflip(plane, direction=flip_direction))

    def rescale(
        self, scale: float | tuple[int, int], interpolation: str = "nearest"
    ) -> LabelMapMasks:
        """Resize, keeping the aspect ratio: by a factor, or to fit into (long, short) sides."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = "nearest") -> LabelMapMasks:
        """Resize to (height, width).

        Raises:
            ValueError: The interpolation is not "nearest": ids cannot be averaged.
        """
        if interpolation != "nearest":
            raise UserError(
                f"interpolation={interpolation!r} would mix instance ids: label maps are resized "
                "with 'nearest'."
            )
        if tuple(out_shape) == (self.height, self.width):
            return self
        return self._map(
            lambda plane: mmcv.imresize(plane, out_shape[::-1], interpolation="nearest")
        )

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> LabelMapMasks:
        """Pad with background on the right and at the bottom to (height, width).

        Raises:
            ValueError: ``pad_val`` is not 0.
        """
        if pad_val != 0:
            raise UserError(f"pad_val={pad_val}: label maps can only be padded with background.")
        if tuple(out_shape) == (self.height, self.width):
            return self
        return self.expand(*out_shape, 0, 0)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> LabelMapMasks:
        """Paste into a larger canvas of background, the upper left corner at (top, left)."""
        shape = (len(self.planes), expanded_h, expanded_w)
        planes: Any
        if isinstance(self.planes, Tensor):
            planes = self.planes.new_zeros(shape)
        else:
            planes = np.zeros(shape, self.planes.dtype)
        planes[:, top : top + self.height, left : left + self.width] = self.planes
        return LabelMapMasks(planes, self.ids)

    def crop(self, bbox: Array) -> LabelMapMasks:
        """Cut out the box (4,) xyxy, integers in pixels, clipped to the image.

        Instances outside the box stay in the list, as empty masks.

        Raises:
            ValueError: The box lies outside the image.
        """
        x1, x2 = np.clip(bbox[0::2], 0, self.width)
        y1, y2 = np.clip(bbox[1::2], 0, self.height)
        planes = self.planes[:, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
        if 0 in planes.shape[1:]:
            raise UserError(
                f"The box {bbox} lies outside the image of {self.height}×{self.width} pixels."
            )
        return LabelMapMasks(planes, self.ids)

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: Any,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "nearest",
    ) -> LabelMapMasks:
        """Shift by whole pixels after cropping or padding to ``out_shape`` (height, width).

        The offset goes to the right or down; for the direction "both", it is a pair (right, down).

        Raises:
            ValueError: The offset is not whole, the border value not 0 or the direction unknown.
        """
        self._check_border(border_value)
        if direction not in ("horizontal", "vertical", "both"):
            raise UserError(f"direction={direction!r} is none of horizontal, vertical, both.")
        shifts = {"both": offset, "horizontal": (offset, 0), "vertical": (0, offset)}
        right, down = shifts[direction]
        if right != int(right) or down != int(down):
            raise UserError(f"offset={offset}: label maps are shifted by whole pixels only.")
        right, down = int(right), int(down)
        host = self.numpy()
        height, width = out_shape
        source = host.planes[:, :height, :width]
        planes = np.zeros((len(source), height, width), source.dtype)
        source = source[
            :, max(-down, 0) : max(height - down, 0), max(-right, 0) : max(width - right, 0)
        ]
        if source.size:
            top, left = max(down, 0), max(right, 0)
            planes[:, top : top + source.shape[1], left : left + source.shape[2]] = source
        return LabelMapMasks(planes, host.ids)

    def shear(
        self,
        out_shape: tuple[int, int],
        magnitude: float,
        direction: str = "horizontal",
        border_value: int = 0,
        interpolation: str = "nearest",
    ) -> LabelMapMasks:
        """Shear as ``mmcv.imshear``, always with nearest neighbours; ``out_shape`` as the input."""
        self._check_border(border_value)
        return self._warp(
            lambda plane: mmcv.imshear(plane, magnitude, direction, interpolation="nearest")
        )

    def rotate(
        self,
        out_shape: tuple[int, int],
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        border_value: int = 0,
        interpolation: str = "nearest",
    ) -> LabelMapMasks:
        """Rotate by degrees as ``mmcv.imrotate``, always with nearest neighbours."""
        self._check_border(border_value)
        return self._warp(
            lambda plane: mmcv.imrotate(
                plane, angle, center=center, scale=scale, interpolation="nearest"
            )
        )

    def sample(
        self, boxes: Tensor, inds: Tensor, out_shape: tuple[int, int], binarize: bool = True
    ) -> Tensor:
        """Mask targets: each instance inside its box, on the device of ``boxes``.

        Args:
            boxes: (R, 4) float, xyxy in pixels.
            inds: (R,) int64, which instance to sample in each box.
            out_shape: Height and width of a target.
            binarize: Threshold at 0.5, as ``BitmapMasks.crop_and_resize`` does.

        Returns:
            (R, *out_shape) float32: 0 or 1, or the share of the instance in each bin.
        """
        planes = torch.as_tensor(self.planes, device=boxes.device)
        ids = torch.as_tensor(self.ids, device=boxes.device)
        shares = roi_align_planes(planes, ids[inds], boxes.float(), out_shape)
        return (shares >= 0.5).float() if binarize else shares

    def crop_and_resize(
        self,
        bboxes: Array | Tensor,
        out_shape: tuple[int, int],
        inds: Array | Tensor,
        device: str | torch.device = "cpu",
        interpolation: str = "bilinear",
        binarize: bool = True,
    ) -> BitmapMasks:
        """As ``BitmapMasks.crop_and_resize``: small bitmaps of ``out_shape``, one for each box.

        :meth:`sample` gives the same as a tensor, without the way through the host.
        """
        boxes = torch.as_tensor(bboxes, device=device)
        targets = self.sample(boxes, torch.as_tensor(inds, device=device), out_shape, binarize)
        bitmaps = targets.cpu().numpy()
        return BitmapMasks(bitmaps.astype(bool) if binarize else bitmaps, *out_shape)

    @property
    def areas(self) -> npt.NDArray[np.int64]:
        """(N,) number of pixels of each instance."""
        return self.extents()[1]

    def get_bboxes(self, dst_type: str | type = "hbox") -> HorizontalBoxes:
        """Tight boxes, (N, 4) float32 xyxy, half-open; all zeros for an empty mask.

        Raises:
            ValueError: Another type of box than horizontal ones is asked for.
        """
        if dst_type not in ("hbb", "hbox", HorizontalBoxes):
            raise UserError(f"dst_type={dst_type!r}: label maps give horizontal boxes ('hbox').")
        return HorizontalBoxes(self.extents()[0].astype(np.float32))

    def to_ndarray(self) -> npt.NDArray[np.uint8]:
        """(N, H, W) uint8 bitmaps, for code that needs them: costs what ``BitmapMasks`` cost."""
        host = self.numpy()
        bitmaps = np.zeros((len(host), host.height, host.width), np.uint8)
        boxes, _ = host.extents()
        for bitmap, instance_id, (x1, y1, x2, y2) in zip(bitmaps, host.ids, boxes, strict=True):
            window = np.s_[..., y1:y2, x1:x2]
            bitmap[window] = (host.planes[window] == instance_id).any(axis=0)
        return bitmaps

    def astype(self, dtype: npt.DTypeLike) -> Array:
        """:meth:`to_ndarray` in another dtype, as MMDetection's visualizer asks for it."""
        return self.to_ndarray().astype(dtype)

    def to_tensor(self, dtype: torch.dtype, device: str | torch.device) -> Tensor:
        """:meth:`to_ndarray` as a tensor."""
        return torch.as_tensor(self.to_ndarray(), dtype=dtype, device=device)

    @classmethod
    def cat(cls, masks: Sequence[LabelMapMasks]) -> LabelMapMasks:
        """Concatenate the instances of masks of one size.

        Parts of one image (selections from the same planes) share the planes. Other masks get new
        ids and, where they overlap, planes of their own.

        Raises:
            ValueError: There is nothing to concatenate, or the sizes differ.
        """
        if not masks:
            raise UserError("There are no masks to concatenate: pass at least one.")
        shapes = {(m.height, m.width) for m in masks}
        if len(shapes) > 1:
            raise UserError(f"Masks of the sizes {sorted(shapes)} cannot be concatenated.")
        first = masks[0]
        if all(m.planes is first.planes for m in masks):
            if isinstance(first.ids, Tensor):
                return cls(first.planes, torch.cat([torch.as_tensor(m.ids) for m in masks]))
            return cls(first.planes, np.concatenate([m.ids for m in masks]))
        planes: list[Array] = []
        ids: list[Array] = []
        offset = 0
        for part in (m.numpy() for m in masks):
            kept = np.where(np.isin(part.planes, part.ids), part.planes + offset, 0)
            for plane in kept:
                for i, below in enumerate(planes):
                    if not (below.astype(bool) & plane.astype(bool)).any():
                        planes[i] = below + plane
                        break
                else:
                    planes.append(plane)
            ids.append(part.ids + offset)
            offset += int(max(part.planes.max(initial=0), part.ids.max(initial=0)))
        return cls(np.stack(planes), np.concatenate(ids))

    def extents(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Boxes (N, 4), xyxy in pixels and half-open, and areas (N,) of the instances."""
        host = self.numpy()
        boxes, areas = instance_extents(host.planes)
        known = np.where(host.ids < len(areas), host.ids, 0)  # entry 0 is empty
        return boxes[known], areas[known]

    def _map(self, function: Callable[[Array], Array]) -> LabelMapMasks:
        host = self.numpy()
        return LabelMapMasks(np.stack([function(plane) for plane in host.planes]), host.ids)

    def _warp(self, function: Callable[[Array], Array]) -> LabelMapMasks:
        """:meth:`_map` by way of float32, which OpenCV warps and which holds ids up to 2^24."""
        return self._map(lambda plane: function(plane.astype(np.float32)).astype(plane.dtype))

    @staticmethod
    def _check_border(border_value: int) -> None:
        if border_value != 0:
            raise UserError(f"border_value={border_value}: only background (0) can come in.")
