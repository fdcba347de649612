# The report's schedule: AdamW, weight decay 5e-4, cosine annealing to 0 over 20 epochs.
max_epochs = 20

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-4, weight_decay=5e-4))
param_scheduler = [
    dict(
        type="CosineAnnealingLR",
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min=0.0,
    )
]

# Several processes take more images a step than these two; the learning rate follows if enabled.
auto_scale_lr = dict(enable=False, base_batch_size=2)
