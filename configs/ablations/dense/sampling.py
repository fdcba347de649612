# More boxes to learn from and more detections to score. For speed, training's NMS gets the best
# 1,000 proposals of each level, not 2,000.
_base_ = ["reference.py"]

model = dict(
    train_cfg=dict(
        _base_.more_boxes.train_cfg,
        rpn_proposal=dict(nms_pre=1000, max_per_img=2000),
        rcnn=dict(sampler=dict(num=256)),
    ),
    test_cfg=_base_.more_boxes.test_cfg,
)
