# The recipe for dense cells at the size of a laptop, for networks such as EfficientNet-Lite.
_base_ = ["dense.py"]

dense_model = dict(
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000), rcnn=dict(sampler=dict(num=256)))
)

crop_size = 256
cell_crop = dict(_base_.cell_crop, size=crop_size)
train_pipeline = [*_base_.load_cells, cell_crop, *_base_.augment]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(paramwise_cfg=dict(num_layers=7, decay_rate=0.95), optimizer=dict(lr=1e-3))
warm_up = dict(_base_.warm_up, end=50)
param_scheduler = [warm_up, _base_.cosine]
