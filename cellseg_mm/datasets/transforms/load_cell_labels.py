"""Load an image's planes."""

from __future__ import annotations

from typing import Any

from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes

from cellseg_mm.errors import UserError
from cellseg_mm.files.rgb_file import require_size
from cellseg_mm.structures.label_map_masks import LabelMapMasks
from cellseg_mm.structures.planes import read_planes


@TRANSFORMS.register_module()
class LoadCellLabels(BaseTransform):
    """Load planes, boxes and classes of an image's cells.

    Required Keys:

    - label_path (str)
    - height, width (int)
    - bboxes (np.float32, (N, 4) xyxy)
    - labels (np.int64, (N,)), -1 for cells to ignore
    - instance_ids (np.int64, (N,))

    Added Keys:

    - gt_masks (LabelMapMasks)
    - gt_bboxes (HorizontalBoxes[torch.float32])
    - gt_bboxes_labels (np.int64)
    - gt_ignore_flags (bool)
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the ground truth to ``results``.

        Raises:
            ValueError: The image has no label file, or the planes have another size than the image.
        """
        if "label_path" not in results:
            raise UserError(
                f"{results['img_path']} has no label file: it belongs to a split without truth, "
                "which can be predicted but neither trained on nor scored."
            )
        planes = read_planes(results["label_path"])
        if planes.shape[1:] != (results["height"], results["width"]):
            raise UserError(
                f"{results['label_path']} is {planes.shape[1]}×{planes.shape[2]}, but its image is "
                f"{results['height']}×{results['width']}: prepare the data set again."
            )
        if "img" in results:
            require_size(results["img_path"], results["img"].shape, planes.shape[1:])
        results["gt_masks"] = LabelMapMasks(planes, results["instance_ids"])
        results["gt_bboxes"] = HorizontalBoxes(results["bboxes"])
        results["gt_bboxes_labels"] = results["labels"]
        results["gt_ignore_flags"] = results["labels"] < 0
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
