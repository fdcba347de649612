# More boxes to learn from and more detections to score. For speed, training's NMS gets the best
# 1,000 proposals of each level, not 2,000.
_base_ = ["report.py"]

model = dict(
    train_cfg=dict(
        rpn=dict(sampler=dict(num=512)),
        rpn_proposal=dict(nms_pre=1000, max_per_img=2000),
        rcnn=dict(sampler=dict(num=256)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=4000, max_per_img=3000),
        rcnn=dict(score_thr=0.01, max_per_img=2000),
    ),
)
