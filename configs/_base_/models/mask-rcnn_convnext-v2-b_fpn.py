# Mask R-CNN on ConvNeXt-V2-Base, pretrained by FCMAE and the labels of ImageNet-1k.
# The licence of these weights (CC-BY-NC) does not allow commercial use.
_base_ = ["mask-rcnn_convnext-b_fpn.py"]

model = dict(
    backbone=dict(
        use_grn=True,
        layer_scale_init_value=0.0,
        init_cfg=dict(
            checkpoint="https://mmassets.onedl.ai/mmclassification/v0/convnext-v2/"
            "convnext-v2-base_fcmae-pre_3rdparty_in1k_20230104-00a70fa4.pth",
        ),
    ),
)
