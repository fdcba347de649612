# Boxes of one class that overlap by an IoU of 0.3, not 0.5, are one cell: cells hardly overlap.
_base_ = ["report.py"]

model = dict(test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.3))))
