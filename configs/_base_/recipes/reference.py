# The reference recipe: flips, AdamW, weight decay 5e-4, cosine annealing to 0 over 20 epochs.
_base_ = ["../datasets/cell_instance.py", "../default_runtime.py"]

train_pipeline = [
    *_base_.load_cells,
    _base_.keep_size,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

max_epochs = 20
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-4, weight_decay=5e-4))
cosine = dict(
    type="CosineAnnealingLR", by_epoch=True, begin=0, end=max_epochs, T_max=max_epochs, eta_min=0.0
)
param_scheduler = [cosine]

# Several processes take more images a step than these two; the learning rate follows if enabled.
auto_scale_lr = dict(enable=False, base_batch_size=2)
