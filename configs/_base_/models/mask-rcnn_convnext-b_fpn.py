# Mask R-CNN on ConvNeXt-Base.
_base_ = ["mask-rcnn_r50_fpn.py"]

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.ConvNeXt",
        arch="base",
        out_indices=[0, 1, 2, 3],
        drop_path_rate=0.4,
        layer_scale_init_value=1e-6,
        gap_before_final_norm=False,
        init_cfg=dict(
            type="BackboneWeights",
            checkpoint="https://mmassets.onedl.ai/mmclassification/v0/convnext/"
            "convnext-base_32xb128_in1k_20221207-fbdb5eb9.pth",
        ),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
