# The cascade as a hybrid one, without its semantic branch, for which cells have no truth: masks are
# trained on the boxes that their own stage has refined, and each mask head sees the one before.
# Predicted masks are those of the last stage; in the plain cascade, the mean over stages.
_base_ = ["cascade-mask-rcnn_convnext-b_fpn.py"]

num_classes = 4

model = dict(
    roi_head=dict(
        type="HybridTaskCascadeRoIHead",
        interleaved=True,
        mask_info_flow=True,
        mask_head=[
            dict(
                type="CellHTCMaskHead",
                with_conv_res=has_predecessor,
                num_convs=4,
                in_channels=256,
                conv_out_channels=256,
                num_classes=num_classes,
                loss_mask=dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0),
            )
            for has_predecessor in (False, True, True)
        ],
    ),
)
