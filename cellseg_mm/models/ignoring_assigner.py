"""An assigner that ignores cells also where there are no others."""

from __future__ import annotations

from typing import Any

from mmdet.models.task_modules.assigners import AssignResult, MaxIoUAssigner
from mmdet.registry import TASK_UTILS


@TASK_UTILS.register_module()
class IgnoringMaxIoUAssigner(MaxIoUAssigner):
    """``MaxIoUAssigner`` that keeps ignored cells out of the background in every image.

    The stock one makes all boxes of an image background if all of its cells are ignored.

    Args: those of ``MaxIoUAssigner``.
    """

    def assign(
        self, pred_instances: Any, gt_instances: Any, gt_instances_ignore: Any = None, **kwargs: Any
    ) -> AssignResult:
        """As the stock assigner; -1 for boxes that lie on ignored cells."""
        result = super().assign(pred_instances, gt_instances, gt_instances_ignore, **kwargs)
        ignored = None if gt_instances_ignore is None else gt_instances_ignore.bboxes
        priors = pred_instances.priors
        applies = not result.num_gts and self.ignore_iof_thr > 0
        if applies and ignored is not None and len(ignored) and len(priors):
            covered = self.iou_calculator(priors, ignored, mode="iof").amax(dim=1)
            result.gt_inds[covered > self.ignore_iof_thr] = -1
        return result
